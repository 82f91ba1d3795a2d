import type { ReactNode } from "react";
import type { Hit } from "../api/client.ts";
import { licenseName } from "../search/describe.ts";

/** Who made the picture, and on what terms it may be used. */
export function Attribution({ hit }: { hit: Hit }) {
  if (!hit.author && !hit.license) return <span className="attribution">Author and licence not given</span>;
  return (
    <span className="attribution">
      {hit.author && <MaybeLink href={hit.author_url}>{hit.author}</MaybeLink>}
      {hit.author && hit.license && <span aria-hidden="true"> · </span>}
      {hit.license && <MaybeLink href={hit.license_url}>{licenseName(hit.license)}</MaybeLink>}
    </span>
  );
}

export function MaybeLink({ href, children }: { href: string | null | undefined; children: ReactNode }) {
  if (!href) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
