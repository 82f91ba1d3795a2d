/** The language of the page: what the reader chose, else the first of the browser's languages that there is. */

import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { kept } from "../kept.ts";
import { de } from "./de.ts";
import { en, type Words } from "./en.ts";
import { type Speech, speechOf } from "./speech.ts";

const DICTIONARIES = { en, de };

export type Language = keyof typeof DICTIONARIES;

export const LANGUAGES = Object.keys(DICTIONARIES) as Language[];

export type Spoken = { language: Language; speech: Speech; words: Words };

type Chosen = Spoken & { choose: (language: Language) => void };

const choice = kept(() => localStorage, "imagesearch.language");

const LanguageContext = createContext<Chosen | null>(null);

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(() => languageOf(choice.read(), navigator.languages));
  const chosen = useMemo(
    () => ({
      ...speak(language, navigator.languages),
      choose: (next: Language) => {
        choice.keep(next);
        setLanguage(next);
      },
    }),
    [language],
  );
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return <LanguageContext value={chosen}>{children}</LanguageContext>;
}

export function useLanguage(): Chosen {
  const chosen = useContext(LanguageContext);
  if (chosen === null) throw new Error("there is no LanguageProvider around this component");
  return chosen;
}

/** The language to speak; English where the reader knows none of ours. */
export function languageOf(chosen: string | null, known: readonly string[]): Language {
  const wanted = [chosen ?? "", ...known].map(primary);
  return wanted.find((one): one is Language => LANGUAGES.includes(one as Language)) ?? "en";
}

/** The words of a language; numbers and dates as the reader's own variant of it writes them (`de-CH`, `en-GB`). */
export function speak(language: Language, known: readonly string[]): Spoken {
  const speech = speechOf(known.find((one) => primary(one) === language) ?? language);
  return { language, speech, words: DICTIONARIES[language](speech) };
}

function primary(tag: string): string {
  return tag.toLowerCase().split("-")[0] ?? "";
}
