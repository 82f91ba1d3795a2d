import type { SearchResponse } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import {
  chosenCount,
  type Facet,
  type Filters,
  toggle,
  VALUE_FACETS,
  withYears,
  YEAR_FACETS,
} from "../search/filters.ts";
import { isEmpty } from "../search/query.ts";
import { type Emphasis, type Search, SORTS, type Sort } from "../search/search.ts";
import { ChosenFilters } from "./chosen-filters.tsx";
import { FacetValues } from "./facet-values.tsx";
import { FacetYears } from "./facet-years.tsx";
import "./filter-bar.css";
import { Popover } from "./popover.tsx";
import { Switch } from "./switch.tsx";

type Props = {
  search: Search;
  facets: SearchResponse["facets"];
  /** Whether strong matches are told from weak ones. */
  strongKnown: boolean;
  onChange: (next: Search) => void;
};

/** What the pictures have to be, and in what order they come. */
export function FilterBar({ search, facets, strongKnown, onChange }: Props) {
  const { words } = useLanguage();
  const { filters, query } = search;
  const asks = !isEmpty(query);
  const change = (next: Filters) => onChange({ ...search, filters: next });
  const offered = (facet: Facet) => (facets[facet]?.length ?? 0) + chosenCount(filters, facet) > 0;

  return (
    <section className="filters" aria-label={words.filters}>
      <div className="filter-bar">
        {VALUE_FACETS.filter(offered).map((facet) => (
          <Popover key={facet} label={words[facet]} count={chosenCount(filters, facet)}>
            <FacetValues
              facet={facet}
              counts={facets[facet] ?? []}
              chosen={filters[facet]}
              onToggle={(value) => change(toggle(filters, facet, value))}
            />
          </Popover>
        ))}
        {YEAR_FACETS.filter(offered).map((facet) => (
          <Popover key={facet} label={words[facet]} count={chosenCount(filters, facet)}>
            <FacetYears
              counts={facets[facet] ?? []}
              chosen={filters[facet]}
              onChange={(years) => change(withYears(filters, facet, years))}
            />
          </Popover>
        ))}
        <div className="orders">
          {asks && (strongKnown || search.strongOnly) && (
            <Switch
              label={words.strongOnly}
              on={search.strongOnly}
              onChange={(strongOnly) => onChange({ ...search, strongOnly })}
            />
          )}
          {query.text !== "" && (
            <Choice
              label={words.emphasis}
              value={search.emphasis}
              options={{ both: words.byBoth, meaning: words.byMeaning, words: words.byWords }}
              onChange={(emphasis: Emphasis) => onChange({ ...search, emphasis })}
            />
          )}
          <SortChoice sort={search.sort} asks={asks} onChange={(sort) => onChange({ ...search, sort })} />
        </div>
      </div>
      <ChosenFilters filters={filters} onChange={change} />
    </section>
  );
}

/** Where nothing is asked for, nothing is closest: the newest come first. */
function SortChoice({ sort, asks, onChange }: { sort: Sort; asks: boolean; onChange: (sort: Sort) => void }) {
  const { words } = useLanguage();
  const names = { relevance: words.sortRelevance, newest: words.sortNewest, oldest: words.sortOldest };
  const offered = asks ? SORTS : (["relevance", "oldest"] as const);
  const options = Object.fromEntries(
    offered.map((one) => [one, !asks && one === "relevance" ? words.sortNewest : names[one]]),
  ) as Record<Sort, string>;
  return (
    <Choice
      label={words.sort}
      value={!asks && sort === "newest" ? "relevance" : sort}
      options={options}
      onChange={onChange}
    />
  );
}

type ChoiceProps<T extends string> = {
  label: string;
  value: T;
  options: Record<T, string>;
  onChange: (value: T) => void;
};

function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <select
      className="picker"
      aria-label={label}
      title={label}
      value={value}
      onChange={(event) => onChange(event.target.value as T)}
    >
      {Object.entries<string>(options).map(([option, name]) => (
        <option key={option} value={option}>
          {name}
        </option>
      ))}
    </select>
  );
}
