import { useLanguage } from "../i18n/language.tsx";
import { isFiltered, NO_FILTERS } from "../search/filters.ts";
import { isEmpty } from "../search/query.ts";
import type { Search } from "../search/search.ts";
import { Message } from "./message.tsx";

type Props = { search: Search; collection: string; onChange: (next: Search) => void; onRetry: () => void };

/** Why there may be nothing, and the way to where there is something. */
export function NoneFound({ search, collection, onChange, onRetry }: Props) {
  const { words } = useLanguage();
  if (search.strongOnly) {
    return (
      <Way
        title={words.noneStrong}
        text={words.noneStrongText(collection)}
        label={words.showNearest}
        onGo={() => onChange({ ...search, strongOnly: false })}
      />
    );
  }
  if (isFiltered(search.filters)) {
    return (
      <Way
        title={words.noneFound}
        text={words.noneWithFilters(collection)}
        label={words.clearFilters}
        onGo={() => onChange({ ...search, filters: NO_FILTERS })}
      />
    );
  }
  const empty = isEmpty(search.query);
  return (
    <Way
      title={empty ? words.emptyCollection : words.noneFound}
      text={empty ? words.emptyCollectionText(collection) : words.noneFoundText(collection)}
      label={words.searchAgain}
      onGo={onRetry}
    />
  );
}

function Way({ title, text, label, onGo }: { title: string; text: string; label: string; onGo: () => void }) {
  return (
    <Message
      title={title}
      action={
        <button type="button" className="button" onClick={onGo}>
          {label}
        </button>
      }
    >
      {text}
    </Message>
  );
}
