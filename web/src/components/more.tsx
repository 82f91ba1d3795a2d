import { useEffect, useRef } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { faultOf } from "./failure.tsx";
import "./more.css";

type Props = { hasMore: boolean; busy: boolean; failed: Error | null; onMore: () => void };

/** Fetches on as the end comes near; the button is for keyboards, and for when a page could not be had. */
export function More({ hasMore, busy, failed, onMore }: Props) {
  const { words } = useLanguage();
  const end = useRef<HTMLDivElement>(null);
  const automatic = hasMore && !busy && failed === null;

  useEffect(() => {
    if (!automatic || end.current === null || typeof IntersectionObserver === "undefined") return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && onMore(), { rootMargin: "600px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [automatic, onMore]);

  return (
    <div className="more" ref={end}>
      {failed && <p role="alert">{faultOf(failed, words).text}</p>}
      {hasMore ? (
        <button type="button" className="button" disabled={busy} onClick={onMore}>
          {busy ? words.loading : failed ? words.tryAgain : words.showMore}
        </button>
      ) : (
        <p>{words.theEnd}</p>
      )}
    </div>
  );
}
