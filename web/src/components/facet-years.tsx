import type { FacetCount } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import type { Years } from "../search/filters.ts";
import "./facet-years.css";

type Props = { counts: FacetCount[]; chosen: Years | null; onChange: (years: Years) => void };

/** From one year to another; the years are offered with how many pictures each has. */
export function FacetYears({ counts, chosen, onChange }: Props) {
  const { words } = useLanguage();
  const { from, to } = chosen ?? { from: null, to: null };
  return (
    <div className="facet-years">
      <YearChoice
        label={words.fromYear}
        counts={counts}
        chosen={from}
        onChoose={(year) => onChange({ from: year, to })}
      />
      <YearChoice label={words.toYear} counts={counts} chosen={to} onChoose={(year) => onChange({ from, to: year })} />
    </div>
  );
}

type ChoiceProps = {
  label: string;
  counts: FacetCount[];
  chosen: string | null;
  onChoose: (year: string | null) => void;
};

function YearChoice({ label, counts, chosen, onChoose }: ChoiceProps) {
  const { words, speech } = useLanguage();
  const listed = chosen === null || counts.some(({ value }) => value === chosen);
  return (
    <label>
      <span>{label}</span>
      <select className="picker" value={chosen ?? ""} onChange={(event) => onChoose(event.target.value || null)}>
        <option value="">{words.anyYear}</option>
        {!listed && <option value={chosen}>{chosen}</option>}
        {counts.map(({ value, count }) => (
          <option key={value} value={value}>
            {value} ({speech.number(count)})
          </option>
        ))}
      </select>
    </label>
  );
}
