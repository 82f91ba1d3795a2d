import { type ChangeEvent, type CompositionEvent, useEffect, useRef, useState } from "react";
import { asPictureUrl } from "../search/query.ts";

export const PAUSE_MS = 250;

export type OnText = (text: string, manner: "settle" | "type") => void;

/**
 * The text in the search box, which is ahead of the text that is searched: that follows when the typing pauses. Where
 * the search changes otherwise, such as by a step back, the box follows the search.
 */
export function useTypedText(searched: string, onText: OnText, onSettle: () => void) {
  const [text, setText] = useState(searched);
  const sent = useRef(searched); // tells what we sent ourselves from what came from elsewhere
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(onText);
  latest.current = onText;

  const reset = (to = searched) => {
    clearTimeout(timer.current);
    sent.current = to;
    setText(to);
  };
  const send = (words: string, manner: "settle" | "type") => {
    clearTimeout(timer.current);
    sent.current = words.trim();
    latest.current(words.trim(), manner);
  };
  const sendSoon = (words: string) => {
    clearTimeout(timer.current);
    if (worthSearching(words)) timer.current = setTimeout(() => send(words, "type"), PAUSE_MS);
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: only another search is a reason
  useEffect(() => {
    if (searched !== sent.current) reset(searched);
  }, [searched]);
  useEffect(() => () => clearTimeout(timer.current), []);

  return {
    text,
    reset,
    submit: () => send(text, "settle"),
    input: {
      value: text,
      onChange: (event: ChangeEvent<HTMLInputElement>) => {
        setText(event.target.value);
        // What an input method shows on the way to a word is not the word.
        if (!(event.nativeEvent as InputEvent).isComposing) sendSoon(event.target.value);
      },
      onCompositionEnd: (event: CompositionEvent<HTMLInputElement>) => sendSoon(event.currentTarget.value),
      onBlur: onSettle,
    },
  };
}

/** An emptied box shows everything again; one Latin letter says nothing yet, one ideograph does; an address is offered as a picture. */
function worthSearching(text: string): boolean {
  const words = text.trim();
  return asPictureUrl(words) === null && !/^https?:\/*/i.test(words) && !/^[\p{ASCII}]$/u.test(words);
}
