import { useEffect, useState } from "react";
import type { Picture, Query } from "../search/search-params.ts";

/** The small preview of the picture that is searched by. */
export function QueryPicture({ query }: { query: Exclude<Query, { kind: "text" }> }) {
  return query.kind === "url" ? <Preview src={query.url} /> : <UploadPreview picture={query.picture} />;
}

function UploadPreview({ picture }: { picture: Picture }) {
  const [src, setSrc] = useState<string>();
  useEffect(() => {
    const url = URL.createObjectURL(new Blob([picture.bytes], { type: picture.type }));
    setSrc(url);
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  return <Preview src={src} />;
}

function Preview({ src }: { src: string | undefined }) {
  return <img className="chip-picture" src={src} alt="" referrerPolicy="no-referrer" />;
}
