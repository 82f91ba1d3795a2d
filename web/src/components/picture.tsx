import { useState } from "react";
import { PictureIcon } from "./icons.tsx";

type Props = { sources: (string | null | undefined)[]; alt: string; eager?: boolean };

/** A picture from elsewhere. Falls back from source to source, and quietly to an empty mat when none loads. */
export function Picture({ sources, alt, eager = false }: Props) {
  const [failed, setFailed] = useState(0);
  const [loaded, setLoaded] = useState(false);
  const src = sources.filter(Boolean)[failed];

  if (!src) {
    return (
      <span className="picture-missing" {...(alt && { role: "img", "aria-label": `${alt} (cannot be loaded)` })}>
        <PictureIcon />
      </span>
    );
  }
  return (
    <img
      className="picture"
      src={src}
      alt={alt}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      referrerPolicy="no-referrer"
      data-loaded={loaded}
      ref={(image) => {
        if (image?.complete && image.naturalWidth > 0) setLoaded(true); // from the cache: no load event is left to come
      }}
      onLoad={() => setLoaded(true)}
      onError={() => setFailed(failed + 1)}
    />
  );
}
