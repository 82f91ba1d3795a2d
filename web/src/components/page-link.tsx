import type { ReactNode } from "react";
import type { Search } from "../search/search.ts";
import { toParams } from "../search/search-params.ts";

type Props = {
  to: Search;
  onGo: (next: Search) => void;
  className?: string;
  current?: boolean;
  children: ReactNode;
};

/** A link to another state of the page: an address like any other, but the page is not loaded anew. */
export function PageLink({ to, onGo, className, current = false, children }: Props) {
  return (
    <a
      className={className}
      href={toParams(to) || "./"}
      aria-current={current ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return; // a new tab, a new window, a download
        event.preventDefault();
        onGo(to);
      }}
    >
      {children}
    </a>
  );
}
