import type { CSSProperties } from "react";

/** How near a picture is to what was searched. The bar starts at 0.5, the score of two things that share nothing. */
export function Score({ value }: { value: number }) {
  const fill = Math.max(0, value - 0.5) * 2;
  return (
    <span className="score" title={`Similarity ${value.toFixed(4)}; 1 is the same picture`}>
      <span className="score-bar" style={{ "--fill": `${(fill * 100).toFixed(0)}%` } as CSSProperties} />
      <span className="for-listeners">Similarity </span>
      {value.toFixed(2)}
    </span>
  );
}
