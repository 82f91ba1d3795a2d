import { useState } from "react";
import { kept } from "../kept.ts";

const choice = kept(() => localStorage, "imagesearch.scores");

/** Whether scores are shown; remembered where the browser lets the page remember anything. */
export function useShowScores(): [boolean, (show: boolean) => void] {
  const [show, setShow] = useState(() => choice.read() !== "off");
  return [
    show,
    (next) => {
      setShow(next);
      choice.keep(next ? "on" : "off");
    },
  ];
}
