import { useQuery } from "@tanstack/react-query";
import type { Api } from "../api/client.ts";
import { numberText } from "../search/describe.ts";
import type { Query } from "../search/search-params.ts";
import { SearchIcon } from "./icons.tsx";
import { Message } from "./message.tsx";
import { Picture } from "./picture.tsx";

type Example = { text: string; lang: string };

const EXAMPLES: Example[] = [
  { text: "playing dogs", lang: "en" },
  { text: "Vögel", lang: "de" },
  { text: "musical instrument", lang: "en" },
  { text: "frutas rojas", lang: "es" },
  { text: "insectes", lang: "fr" },
  { text: "vehicles", lang: "en" },
];

const EXAMPLE_PICTURES = 3;

type Props = { api: Api; collection: string; images: number | undefined; onSearch: (query: Query) => void };

/** What to do here, shown by doing it: each example carries its own best answers. */
export function Home({ api, collection, images, onSearch }: Props) {
  if (images === 0) {
    return (
      <Message title="Nothing to search yet">
        <b>{collection}</b> is still empty. Its pictures can be found as soon as they are indexed.
      </Message>
    );
  }
  return (
    <section className="home">
      <h1 className="for-listeners">Search pictures</h1>
      <p className="hint">
        {images === undefined ? "Find pictures" : `Find ${numberText(images)} pictures`} by what they show. Or drop a
        picture anywhere on this page, or paste one, to find others like it.
      </p>
      <ul className="examples" aria-label="Examples">
        {EXAMPLES.map(({ text, lang }) => (
          <li key={text}>
            <button type="button" className="example" onClick={() => onSearch({ kind: "text", text })}>
              <ExamplePictures api={api} collection={collection} text={text} />
              <span className="example-label">
                <SearchIcon />
                <span lang={lang}>{text}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ExamplePictures({ api, collection, text }: { api: Api; collection: string; text: string }) {
  const { data } = useQuery({
    queryKey: ["example", collection, text],
    queryFn: ({ signal }) =>
      api.search({ kind: "text", text }, { collection, from: 0, size: EXAMPLE_PICTURES }, signal),
  });
  return (
    <span className="example-pictures" aria-hidden="true">
      {data?.hits.map((hit) => (
        <Picture key={hit.id} sources={[hit.thumbnail_url, hit.url]} alt="" />
      ))}
    </span>
  );
}
