import { useState } from "react";

const KEY = "imagesearch.scores";

/** Whether scores are shown; remembered where the browser lets the page remember anything. */
export function useShowScores(): [boolean, (show: boolean) => void] {
  const [show, setShow] = useState(() => read() !== "off");
  return [
    show,
    (next) => {
      setShow(next);
      try {
        localStorage.setItem(KEY, next ? "on" : "off");
      } catch {
        // storage is switched off: the choice holds until the page is left
      }
    },
  ];
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
