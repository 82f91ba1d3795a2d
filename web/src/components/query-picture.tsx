import { useEffect, useState } from "react";
import type { Picture as ChosenPicture, Query } from "../search/search-params.ts";
import { Picture } from "./picture.tsx";

/** The small preview of the picture that is searched by. */
export function QueryPicture({ query }: { query: Exclude<Query, { kind: "text" }> }) {
  return (
    <span className="chip-picture">
      {query.kind === "url" ? (
        <Picture key={query.url} sources={[query.url]} alt="" eager />
      ) : (
        <UploadPreview key={query.picture.id} picture={query.picture} />
      )}
    </span>
  );
}

function UploadPreview({ picture }: { picture: ChosenPicture }) {
  const [src, setSrc] = useState<string>();
  useEffect(() => {
    const url = URL.createObjectURL(new Blob([picture.bytes], { type: picture.type }));
    setSrc(url);
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  return src && <Picture key={src} sources={[src]} alt="" eager />;
}
