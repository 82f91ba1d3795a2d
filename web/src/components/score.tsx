/** How near a picture is to what was searched: 1 is the same, 0.5 is unrelated, drawn as a bar and a number. */
export function Score({ value }: { value: number }) {
  const text = value.toFixed(2);
  return (
    <span className="score" title={`Similarity ${value.toFixed(4)} (1 is identical)`}>
      <meter min={0} max={1} value={value} aria-label="Similarity">
        {text}
      </meter>
      <span aria-hidden="true">{text}</span>
    </span>
  );
}
