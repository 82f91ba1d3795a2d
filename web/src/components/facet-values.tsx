import { type FormEvent, useState } from "react";
import type { FacetCount } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { licenseTerms } from "../search/describe.ts";
import type { ValueFacet } from "../search/filters.ts";
import "./facet-values.css";
import { useValueName } from "./use-value-name.ts";

type Props = {
  facet: ValueFacet;
  counts: FacetCount[];
  chosen: readonly string[];
  onToggle: (value: string) => void;
};

/** The most frequent values of a facet with their counts, and before them what was chosen beside those. */
export function FacetValues({ facet, counts, chosen, onToggle }: Props) {
  const { words } = useLanguage();
  const counted = new Set(counts.map(({ value }) => value));
  return (
    <>
      <ul className="facet-values">
        {chosen
          .filter((value) => !counted.has(value))
          .map((value) => (
            <FacetValue key={value} facet={facet} value={value} count={null} chosen onToggle={onToggle} />
          ))}
        {counts.map(({ value, count }) => (
          <FacetValue
            key={value}
            facet={facet}
            value={value}
            count={count}
            chosen={chosen.includes(value)}
            onToggle={onToggle}
          />
        ))}
      </ul>
      {facet === "tags" && <AnotherValue label={words.anotherTag} onAdd={onToggle} chosen={chosen} />}
      {facet === "author" && <AnotherValue label={words.anotherAuthor} onAdd={onToggle} chosen={chosen} />}
    </>
  );
}

type ValueProps = {
  facet: ValueFacet;
  value: string;
  count: number | null;
  chosen: boolean;
  onToggle: (value: string) => void;
};

function FacetValue({ facet, value, count, chosen, onToggle }: ValueProps) {
  const { words, speech } = useLanguage();
  const nameOf = useValueName();
  const terms = facet === "license" ? licenseTerms(value, words) : "";
  return (
    <li>
      <label className="facet-value">
        <input type="checkbox" checked={chosen} onChange={() => onToggle(value)} />
        <span className="facet-name">
          {nameOf(facet, value)}
          {terms && <small>{terms}</small>}
        </span>
        {count !== null && <span className="facet-count">{speech.number(count)}</span>}
      </label>
    </li>
  );
}

type AnotherProps = { label: string; chosen: readonly string[]; onAdd: (value: string) => void };

/** Only the most frequent values are counted; any other can be typed. */
function AnotherValue({ label, chosen, onAdd }: AnotherProps) {
  const { words } = useLanguage();
  const [value, setValue] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const typed = value.trim();
    if (typed !== "" && !chosen.includes(typed)) onAdd(typed);
    setValue("");
  };
  return (
    <form className="another-value" onSubmit={submit}>
      <input
        type="text"
        aria-label={label}
        placeholder={label}
        autoComplete="off"
        maxLength={1_000}
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <button type="submit" className="button">
        {words.add}
      </button>
    </form>
  );
}
