import { type FormEvent, type RefObject, useRef } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { asPictureUrl, isEmpty, type Query, TEXT_LIMIT } from "../search/query.ts";
import { CloseIcon, PictureIcon, SearchIcon } from "./icons.tsx";
import "./search-box.css";
import { type OnText, useTypedText } from "./use-typed-text.ts";

type Props = {
  query: Query;
  inputRef: RefObject<HTMLInputElement | null>;
  onText: OnText;
  /** The reader turned to something else: what was typed is meant to stay. */
  onSettle: () => void;
  onFile: (file: File) => void;
  onUrl: (url: string) => void;
  onClear: () => void;
};

/** Words, a picture's address, or a picture: one box takes all three, and answers while words are typed. */
export function SearchBox({ query, inputRef, onText, onSettle, onFile, onUrl, onClear }: Props) {
  const { words } = useLanguage();
  const typed = useTypedText(query.text, onText, onSettle);
  const url = asPictureUrl(typed.text);
  const byPictures = !isEmpty({ ...query, text: "" });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (url === null) return typed.submit();
    typed.reset();
    onUrl(url);
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: older browsers do not know <search>
    <form role="search" className="search" onSubmit={submit}>
      <div className="search-box">
        <input
          ref={inputRef}
          type="search"
          name="q"
          aria-label={words.searchPictures}
          placeholder={byPictures ? words.addWords : words.describePicture}
          autoComplete="off"
          enterKeyHint="search"
          maxLength={url === null ? TEXT_LIMIT : undefined}
          {...typed.input}
        />
        {(typed.text !== "" || query.picture !== null || byPictures) && (
          <button
            type="button"
            className="icon-button"
            aria-label={words.clearSearch}
            title={words.clearSearch}
            onClick={() => {
              typed.reset("");
              onClear();
            }}
          >
            <CloseIcon />
          </button>
        )}
        <FileButton onFile={onFile} />
        <button type="submit" className="button primary search-submit" aria-label={words.search}>
          <SearchIcon />
          <span>{words.search}</span>
        </button>
      </div>
      {url !== null && (
        <button
          type="button"
          className="suggestion"
          onClick={() => {
            typed.reset();
            onUrl(url);
          }}
        >
          <PictureIcon />
          <span>
            {words.searchByThis}
            <small>{url}</small>
          </span>
        </button>
      )}
    </form>
  );
}

function FileButton({ onFile }: { onFile: (file: File) => void }) {
  const { words } = useLanguage();
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={file}
        type="file"
        accept="image/*"
        hidden
        aria-label={words.pictureFile}
        onChange={(event) => {
          const chosen = event.target.files?.[0];
          event.target.value = ""; // so that choosing the same file again is a change again
          if (chosen) onFile(chosen);
        }}
      />
      <button
        type="button"
        className="icon-button"
        aria-label={words.searchByYours}
        title={words.searchByYours}
        onClick={() => file.current?.click()}
      >
        <PictureIcon />
      </button>
    </>
  );
}
