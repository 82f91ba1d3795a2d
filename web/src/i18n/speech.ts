/** How one language counts, and writes numbers and dates. */
export type Speech = {
  number: (value: number) => string;
  /** A moment as a day; one that cannot be read stays as it came. */
  date: (moment: string) => string;
  /** Likewise with the time of day. */
  moment: (moment: string) => string;
  /** The form that belongs to a number, with the number in place of `#`. */
  plural: (count: number, forms: Forms) => string;
};

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

export function speechOf(locale: string): Speech {
  const numbers = new Intl.NumberFormat(locale);
  const dates = new Intl.DateTimeFormat(locale, { dateStyle: "long" });
  const times = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const rules = new Intl.PluralRules(locale);
  return {
    number: (value) => numbers.format(value),
    date: (moment) => written(moment, dates),
    moment: (moment) => written(moment, times),
    plural: (count, forms) => (forms[rules.select(count)] ?? forms.other).replace("#", numbers.format(count)),
  };
}

function written(moment: string, form: Intl.DateTimeFormat): string {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? moment : form.format(date);
}
