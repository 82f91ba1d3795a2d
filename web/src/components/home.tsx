import { useQuery } from "@tanstack/react-query";
import type { Api } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { wordsAlone } from "../search/search.ts";
import "./home.css";
import { SearchIcon } from "./icons.tsx";
import { Picture } from "./picture.tsx";

type Example = { text: string; lang: string };

const EXAMPLES: Example[] = [
  { text: "playing dogs", lang: "en" },
  { text: "Vögel", lang: "de" },
  { text: "musical instrument", lang: "en" },
  { text: "frutas rojas", lang: "es" },
  { text: "insectes", lang: "fr" },
  { text: "vehicles", lang: "en" },
];

const EXAMPLE_PICTURES = 3;

type Props = { api: Api; collection: string; images: number | undefined; onWords: (text: string) => void };

/** What to do here, shown by doing it: each example carries its own best answers. */
export function Home({ api, collection, images, onWords }: Props) {
  const { words } = useLanguage();
  return (
    <section className="home">
      <h1 className="for-listeners">{words.searchPictures}</h1>
      <p className="hint">{words.hint(images || undefined)}</p>
      {images !== 0 && (
        <ul className="examples" aria-label={words.examples}>
          {EXAMPLES.map(({ text, lang }) => (
            <li key={text}>
              <button type="button" className="example" onClick={() => onWords(text)}>
                <ExamplePictures api={api} collection={collection} text={text} />
                <span className="example-label">
                  <SearchIcon />
                  <span lang={lang}>{text}</span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** The first pictures of a search, or of what came last where there are no words. */
export function ExamplePictures({ api, collection, text }: { api: Api; collection: string; text: string }) {
  const { data } = useQuery({
    queryKey: ["example", collection, text],
    queryFn: ({ signal }) => api.search(wordsAlone(text), { collection, from: 0, size: EXAMPLE_PICTURES }, signal),
  });
  return (
    <span className="example-pictures" aria-hidden="true">
      {data?.hits.map((hit) => (
        <Picture key={hit.id} sources={[hit.thumbnail_url, hit.url]} alt="" />
      ))}
    </span>
  );
}
