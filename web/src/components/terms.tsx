import { type ReactNode, useEffect, useState } from "react";
import type { Api } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { titleOf } from "../search/describe.ts";
import type { Picture as Chosen, Query, QueryPicture } from "../search/query.ts";
import { usePicture } from "../search/use-picture.ts";
import { CloseIcon, MinusIcon, PlusIcon } from "./icons.tsx";
import { Picture } from "./picture.tsx";
import "./terms.css";

type Props = {
  api: Api;
  collection: string;
  query: Query;
  onRemovePicture: () => void;
  onRemove: (id: string) => void;
  /** The button that was pressed is gone: the focus has to go somewhere. */
  onRemoved: () => void;
};

/** The pictures that are searched by, beside the words in the box; each can be taken out. */
export function Terms({ api, collection, query, onRemovePicture, onRemove, onRemoved }: Props) {
  const { words } = useLanguage();
  const { picture, liked, disliked } = query;
  if (picture === null && liked.length + disliked.length === 0) return null;
  const judged = (ids: readonly string[], kind: "liked" | "disliked") =>
    ids.map((id) => (
      <JudgedTerm
        key={id}
        api={api}
        collection={collection}
        id={id}
        kind={kind}
        onRemove={() => {
          onRemove(id);
          onRemoved();
        }}
      />
    ));
  return (
    <ul className="terms" aria-label={words.terms}>
      {picture !== null && (
        <PictureTerm
          picture={picture}
          onRemove={() => {
            onRemovePicture();
            onRemoved();
          }}
        />
      )}
      {judged(liked, "liked")}
      {judged(disliked, "disliked")}
    </ul>
  );
}

function PictureTerm({ picture, onRemove }: { picture: QueryPicture; onRemove: () => void }) {
  const { words } = useLanguage();
  switch (picture.kind) {
    case "url": {
      const { host } = new URL(picture.url);
      return (
        <Term name={host} label={words.termPicture(host)} onRemove={onRemove}>
          <Picture key={picture.url} sources={[picture.url]} alt="" eager />
        </Term>
      );
    }
    case "upload":
      return (
        <Term
          name={picture.picture.name}
          label={words.termPicture(picture.picture.name || words.yourPicture)}
          onRemove={onRemove}
        >
          <UploadPreview key={picture.picture.id} picture={picture.picture} />
        </Term>
      );
    case "lost":
      return (
        <Term name={words.lostPicture} label={words.lostPicture} onRemove={onRemove}>
          <Picture sources={[]} alt="" />
        </Term>
      );
  }
}

type JudgedProps = {
  api: Api;
  collection: string;
  id: string;
  kind: "liked" | "disliked";
  onRemove: () => void;
};

function JudgedTerm({ api, collection, id, kind, onRemove }: JudgedProps) {
  const { words } = useLanguage();
  const { data: hit } = usePicture(api, collection, id);
  const name = hit ? titleOf(hit, words) : id;
  return (
    <Term
      name={name}
      label={kind === "liked" ? words.termLiked(name) : words.termDisliked(name)}
      kind={kind}
      sign={kind === "liked" ? <PlusIcon /> : <MinusIcon />}
      onRemove={onRemove}
    >
      {hit && <Picture sources={[hit.thumbnail_url, hit.url]} alt="" eager />}
    </Term>
  );
}

type TermProps = {
  name: string;
  label: string;
  kind?: "liked" | "disliked";
  sign?: ReactNode;
  onRemove: () => void;
  children: ReactNode;
};

function Term({ name, label, kind, sign, onRemove, children }: TermProps) {
  const { words } = useLanguage();
  return (
    <li className="chip" data-kind={kind}>
      {sign}
      <span className="chip-picture">{children}</span>
      <span className="chip-name" title={label} aria-hidden="true">
        {name}
      </span>
      <span className="for-listeners">{label}</span>
      <button type="button" className="icon-button" aria-label={words.remove(label)} onClick={onRemove}>
        <CloseIcon />
      </button>
    </li>
  );
}

function UploadPreview({ picture }: { picture: Chosen }) {
  const [src, setSrc] = useState<string>();
  useEffect(() => {
    const url = URL.createObjectURL(new Blob([picture.bytes], { type: picture.type }));
    setSrc(url);
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  return src && <Picture key={src} sources={[src]} alt="" eager />;
}
