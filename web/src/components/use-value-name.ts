import { useLanguage } from "../i18n/language.tsx";
import { licenseName } from "../search/describe.ts";
import type { ValueFacet } from "../search/filters.ts";

/** How people call a value of a facet. */
export function useValueName(): (facet: ValueFacet, value: string) => string {
  const { words } = useLanguage();
  return (facet, value) => {
    if (facet === "license") return licenseName(value, words);
    if (facet === "orientation") return words.orientations[value] ?? value;
    if (facet === "size") return words.sizes[value] ?? value;
    return facet === "source" ? value.charAt(0).toUpperCase() + value.slice(1) : value;
  };
}
