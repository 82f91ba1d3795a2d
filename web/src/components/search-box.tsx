import { type FormEvent, type RefObject, useEffect, useRef, useState } from "react";
import { asPictureUrl, type Query, TEXT_LIMIT, typedQuery } from "../search/search-params.ts";
import { CloseIcon, PictureIcon, SearchIcon } from "./icons.tsx";
import { QueryPicture } from "./query-picture.tsx";

type Props = {
  query: Query | null;
  inputRef: RefObject<HTMLInputElement | null>;
  onSearch: (query: Query | null) => void;
  onFile: (file: File) => void;
};

/** Words, a picture's address, or a picture: one box takes all three. */
export function SearchBox({ query, inputRef, onSearch, onFile }: Props) {
  const [text, setText] = useState("");
  const fileRef = useRef<HTMLInputElement>(null);
  const byPicture = query !== null && query.kind !== "text";
  const url = asPictureUrl(text);

  useEffect(() => setText(query?.kind === "text" ? query.text : ""), [query]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const typed = typedQuery(text);
    if (typed !== null) onSearch(typed);
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: older browsers do not know <search>
    <form role="search" className="search" onSubmit={submit}>
      <div className="search-box">
        {byPicture && (
          <span className="chip">
            <QueryPicture query={query} />
            <span className="chip-name">{query.kind === "upload" ? query.picture.name : hostOf(query.url)}</span>
            <button
              type="button"
              className="icon-button"
              aria-label="Remove the picture"
              onClick={() => onSearch(null)}
            >
              <CloseIcon />
            </button>
          </span>
        )}
        <input
          ref={inputRef}
          type="search"
          name="q"
          aria-label="Search pictures"
          placeholder={byPicture ? "or use words" : "Describe a picture"}
          autoComplete="off"
          enterKeyHint="search"
          maxLength={url === null ? TEXT_LIMIT : undefined}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <input
          ref={fileRef}
          type="file"
          accept="image/*"
          hidden
          aria-label="Picture file"
          onChange={(event) => {
            const file = event.target.files?.[0];
            event.target.value = ""; // so that choosing the same file again is a change again
            if (file) onFile(file);
          }}
        />
        <button
          type="button"
          className="icon-button"
          aria-label="Search by a picture of yours"
          title="Search by a picture of yours"
          onClick={() => fileRef.current?.click()}
        >
          <PictureIcon />
        </button>
        <button type="submit" className="button primary search-submit" aria-label="Search">
          <SearchIcon />
          <span>Search</span>
        </button>
      </div>
      {url !== null && (
        <button type="button" className="suggestion" onClick={() => onSearch({ kind: "url", url })}>
          <PictureIcon />
          <span>
            Search by this picture<small>{url}</small>
          </span>
        </button>
      )}
    </form>
  );
}

function hostOf(url: string): string {
  return new URL(url).host;
}
