import type { ReactNode } from "react";
import type { Collection } from "../api/client.ts";
import { LANGUAGES, type Language, speak, useLanguage } from "../i18n/language.tsx";
import { inCollection, type Search, START } from "../search/search.ts";
import { Logo } from "./icons.tsx";
import "./masthead.css";
import { PageLink } from "./page-link.tsx";

type Props = {
  search: Search;
  collections: Collection[];
  collection: string | null;
  onGo: (next: Search) => void;
  children: ReactNode;
};

/** The name of the page, the search box, and the ways to elsewhere. */
export function Masthead({ search, collections, collection, onGo, children }: Props) {
  const { words } = useLanguage();
  const home = { ...START, collection: search.collection };
  return (
    <header className="masthead">
      <PageLink className="brand" to={home} onGo={onGo}>
        <Logo />
        <span>imagesearch</span>
      </PageLink>
      <div className="asking">{children}</div>
      <nav className="ways">
        <CollectionPicker
          collections={collections}
          chosen={collection}
          onChoose={(chosen) => onGo(inCollection(search, chosen))}
        />
        <PageLink
          className="way"
          to={{ ...home, view: "collections" }}
          current={search.view === "collections"}
          onGo={onGo}
        >
          {words.collections}
        </PageLink>
        <LanguagePicker />
      </nav>
    </header>
  );
}

type PickerProps = { collections: Collection[]; chosen: string | null; onChoose: (name: string) => void };

function CollectionPicker({ collections, chosen, onChoose }: PickerProps) {
  const { words, speech } = useLanguage();
  if (collections.length < 2 || chosen === null) return null;
  const listed = collections.some(({ collection }) => collection === chosen);
  return (
    <select
      className="picker"
      aria-label={words.collection}
      value={chosen}
      onChange={(event) => onChoose(event.target.value)}
    >
      {!listed && <option value={chosen}>{chosen}</option>}
      {collections.map(({ collection, images }) => (
        <option key={collection} value={collection}>
          {collection} ({speech.number(images)})
        </option>
      ))}
    </select>
  );
}

function LanguagePicker() {
  const { language, words, choose } = useLanguage();
  return (
    <select
      className="picker"
      aria-label={words.language}
      value={language}
      onChange={(event) => choose(event.target.value as Language)}
    >
      {LANGUAGES.map((one) => (
        <option key={one} value={one} lang={one}>
          {speak(one, []).words.languageName}
        </option>
      ))}
    </select>
  );
}
