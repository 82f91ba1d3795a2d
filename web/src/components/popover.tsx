import { type KeyboardEvent, type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { DownIcon } from "./icons.tsx";
import "./popover.css";

type Props = { label: string; count: number; children: ReactNode };

/** A chip that opens what belongs to it. Escape closes it, and so does turning to anything else. */
export function Popover({ label, count, children }: Props) {
  const { words, speech } = useLanguage();
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLFieldSetElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const elsewhere = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("focusin", elsewhere);
    };
  }, [open]);

  useLayoutEffect(() => {
    const { current } = panel;
    if (current && current.getBoundingClientRect().right > window.innerWidth) current.dataset.side = "end";
  });

  const close = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    setOpen(false);
    button.current?.focus();
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape comes up here from what is inside
    <div className="popover" ref={root} onKeyDown={close}>
      <button
        ref={button}
        type="button"
        className="filter-chip"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        data-chosen={count > 0}
        onClick={() => setOpen(!open)}
      >
        {label}
        {count > 0 && (
          <>
            {" "}
            <span className="filter-count">{speech.number(count)}</span>{" "}
            <span className="for-listeners">{words.chosen}</span>
          </>
        )}
        <DownIcon />
      </button>
      {open && (
        <fieldset ref={panel} id={id} className="popover-panel">
          <legend className="for-listeners">{label}</legend>
          {children}
        </fieldset>
      )}
    </div>
  );
}
