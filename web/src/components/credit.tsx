import { useState } from "react";
import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { creditOf } from "../search/describe.ts";
import "./credit.css";

/** What to write beside the picture where it is used, ready to be copied. */
export function Credit({ hit }: { hit: Hit }) {
  const { words } = useLanguage();
  const [outcome, setOutcome] = useState<string | null>(null);
  if (!hit.author && !hit.license) return null;
  const text = creditOf(hit, words);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome(words.copied);
    } catch {
      setOutcome(words.copyFailed); // the browser did not allow it, or the page came without TLS
    }
  };
  return (
    <section className="credit" aria-label={words.attribution}>
      <p>{text}</p>
      <button type="button" className="button" onClick={() => void copy()}>
        {words.copy}
      </button>
      <span role="status">{outcome}</span>
    </section>
  );
}
