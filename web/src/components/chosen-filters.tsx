import { useLanguage } from "../i18n/language.tsx";
import { type Filters, isFiltered, NO_FILTERS, toggle, VALUE_FACETS, YEAR_FACETS } from "../search/filters.ts";
import "./chosen-filters.css";
import { CloseIcon } from "./icons.tsx";
import { useValueName } from "./use-value-name.ts";

type Props = { filters: Filters; onChange: (filters: Filters) => void };

/** The filters that hold; each is taken away by a press. */
export function ChosenFilters({ filters, onChange }: Props) {
  const { words } = useLanguage();
  const nameOf = useValueName();
  if (!isFiltered(filters)) return null;

  const chosen = [
    ...VALUE_FACETS.flatMap((facet) =>
      filters[facet].map((value) => ({
        key: `${facet} ${value}`,
        name: words[facet],
        value: nameOf(facet, value),
        without: toggle(filters, facet, value),
      })),
    ),
    ...YEAR_FACETS.flatMap((facet) => {
      const years = filters[facet];
      if (years === null) return [];
      return [
        {
          key: facet,
          name: words[facet],
          value: words.years(years.from, years.to),
          without: { ...filters, [facet]: null },
        },
      ];
    }),
  ];

  return (
    <ul className="chosen-filters" aria-label={words.activeFilters}>
      {chosen.map(({ key, name, value, without }) => (
        <li key={key}>
          <button
            type="button"
            className="chosen-filter"
            aria-label={words.remove(`${name}: ${value}`)}
            onClick={() => onChange(without)}
          >
            <span>
              {name}: <b>{value}</b>
            </span>
            <CloseIcon />
          </button>
        </li>
      ))}
      <li>
        <button type="button" className="clear-filters" onClick={() => onChange(NO_FILTERS)}>
          {words.clearFilters}
        </button>
      </li>
    </ul>
  );
}
