import type { CSSProperties } from "react";
import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import "./score.css";

/** How near a picture is to what was searched. The bar starts at 0.5, the score of two things that share nothing. */
export function Score({ hit: { score, has_words } }: { hit: Hit }) {
  const { words } = useLanguage();
  if (score === null) return has_words && <span className="score">{words.byItsWords}</span>;
  const fill = Math.max(0, score - 0.5) * 2;
  return (
    <span className="score" title={words.likenessOf(score.toFixed(4))}>
      <span className="score-bar" style={{ "--fill": `${(fill * 100).toFixed(0)}%` } as CSSProperties} />
      <span className="for-listeners">{words.likeness} </span>
      {score.toFixed(2)}
    </span>
  );
}
