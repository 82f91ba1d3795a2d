import type { ReactNode } from "react";
import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { licenseName } from "../search/describe.ts";
import "./attribution.css";

/** Who made the picture, and on what terms it may be used. */
export function Attribution({ hit }: { hit: Hit }) {
  const { words } = useLanguage();
  if (!hit.author && !hit.license) return <p className="attribution">{words.attributionMissing}</p>;
  return (
    <p className="attribution">
      {hit.author && (
        <span className="author">
          <MaybeLink href={hit.author_url}>{hit.author}</MaybeLink>
        </span>
      )}
      {hit.license && (
        <span className="license">
          <MaybeLink href={hit.license_url}>{licenseName(hit.license, words)}</MaybeLink>
        </span>
      )}
    </p>
  );
}

/** A link to another site, or the bare text where the source names no address. */
export function MaybeLink({ href, children }: { href: string | null | undefined; children: ReactNode }) {
  if (!href) return children;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
