import { type CSSProperties, useState } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { PictureIcon } from "./icons.tsx";
import "./picture.css";

type Props = {
  sources: (string | null | undefined)[];
  alt: string;
  /** Seen at once: it is loaded before the others. */
  eager?: boolean;
  /** No source could be loaded. */
  onMissing?: (() => void) | undefined;
  onLoaded?: (() => void) | undefined;
};

/** A picture from elsewhere. Falls back from source to source, and quietly to an empty mat when none loads. */
export function Picture({ sources, alt, eager = false, onMissing, onLoaded }: Props) {
  const { words } = useLanguage();
  const [failed, setFailed] = useState(0);
  const [width, setWidth] = useState(0); // of the file, in pixels; 0 until it is loaded
  const known = [...new Set(sources.filter(Boolean))];
  const src = known[failed];
  const loaded = (pixels: number) => {
    setWidth(pixels);
    onLoaded?.();
  };

  if (!src) {
    return (
      <span className="picture-missing" {...(alt && { role: "img", "aria-label": words.cannotLoad(alt) })}>
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
      fetchPriority={eager ? "high" : "auto"}
      decoding="async"
      referrerPolicy="no-referrer"
      data-loaded={width > 0}
      style={{ "--natural-width": width } as CSSProperties}
      ref={(image) => {
        if (image?.complete && image.naturalWidth > 0) loaded(image.naturalWidth); // from the cache: no load event is left to come
      }}
      onLoad={(event) => loaded(event.currentTarget.naturalWidth || 1)}
      onError={() => {
        setFailed(failed + 1);
        if (failed + 1 >= known.length) onMissing?.();
      }}
    />
  );
}
