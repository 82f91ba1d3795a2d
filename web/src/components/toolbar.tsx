import type { RefObject } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { Switch } from "./switch.tsx";
import "./toolbar.css";

type Props = {
  headingRef: RefObject<HTMLHeadingElement | null>;
  level: 1 | 2;
  title: string;
  status: string;
  /** What stands below says the same to whoever sees it. */
  quiet: boolean;
  showScores: boolean;
  /** Undefined where there are no scores. */
  onShowScores: ((show: boolean) => void) | undefined;
};

/** What is shown below, how much of it there is, and how it is shown. */
export function Toolbar({ headingRef, level, title, status, quiet, showScores, onShowScores }: Props) {
  const { words } = useLanguage();
  const Heading = level === 1 ? "h1" : "h2";
  return (
    <div className="toolbar">
      <Heading ref={headingRef} tabIndex={-1}>
        {title}
      </Heading>
      {/* The same element in every state: a screen reader tells only what changes in a region that it knows. */}
      <p role="status" className={quiet ? "for-listeners" : undefined}>
        {status}
      </p>
      {onShowScores && <Switch label={words.scores} on={showScores} onChange={onShowScores} />}
    </div>
  );
}
