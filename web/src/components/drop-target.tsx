import { useEffect, useRef, useState } from "react";
import { useLanguage } from "../i18n/language.tsx";
import { asPictureUrl } from "../search/query.ts";
import "./drop-target.css";
import { PictureIcon } from "./icons.tsx";

type Props = { onFile: (file: File) => void; onUrl: (url: string) => void };

/** Makes the whole window take pictures: dropped files, pictures dragged from other pages, and pasted ones. */
export function DropTarget({ onFile, onUrl }: Props) {
  const { words } = useLanguage();
  const [over, setOver] = useState(false);
  const depth = useRef(0); // dragenter and dragleave fire for every element on the way; the window is left at zero

  useEffect(() => {
    const enter = (event: DragEvent) => {
      if (!carriesPicture(event.dataTransfer)) return;
      depth.current += 1;
      setOver(true);
    };
    const leave = () => {
      depth.current = Math.max(0, depth.current - 1);
      if (depth.current === 0) setOver(false);
    };
    const allow = (event: DragEvent) => {
      if (carriesPicture(event.dataTransfer)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth.current = 0;
      setOver(false);
      if (!carriesPicture(event.dataTransfer)) return;
      event.preventDefault();
      take(event.dataTransfer, onFile, onUrl);
    };
    const paste = (event: ClipboardEvent) => {
      const file = event.clipboardData?.files[0];
      if (!file) return; // text goes where the cursor is
      event.preventDefault();
      onFile(file);
    };
    const controller = new AbortController();
    const { signal } = controller;
    window.addEventListener("dragenter", enter, { signal });
    window.addEventListener("dragleave", leave, { signal });
    window.addEventListener("dragover", allow, { signal });
    window.addEventListener("drop", drop, { signal });
    window.addEventListener("paste", paste, { signal });
    return () => controller.abort();
  }, [onFile, onUrl]);

  return over ? (
    <div className="drop-target">
      <p>
        <PictureIcon />
        {words.dropHere}
      </p>
    </div>
  ) : null;
}

function carriesPicture(data: DataTransfer | null): data is DataTransfer {
  return data !== null && (data.types.includes("Files") || data.types.includes("text/uri-list"));
}

function take(data: DataTransfer, onFile: Props["onFile"], onUrl: Props["onUrl"]): void {
  const file = data.files[0];
  const url = asPictureUrl(data.getData("text/uri-list").split("\n")[0] ?? "");
  // A picture dragged from another page comes as both; the file is what the reader saw.
  if (file) onFile(file);
  else if (url !== null) onUrl(url);
}
