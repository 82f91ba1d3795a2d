import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { apiKey } from "../api/key.ts";
import { useLanguage } from "../i18n/language.tsx";
import "./key-form.css";
import { Message } from "./message.tsx";

/** Asks for an API key, and for everything else anew once it is there. */
export function KeyForm() {
  const { words } = useLanguage();
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const unknown = apiKey.read() !== null;

  useEffect(() => input.current?.focus(), []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() === "") return;
    apiKey.keep(key.trim());
    void client.resetQueries();
  };

  return (
    <Message
      title={words.keyNeeded}
      action={
        <form className="key-form" onSubmit={submit}>
          <label htmlFor={id}>{words.key}</label>
          <input
            ref={input}
            id={id}
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={key}
            aria-invalid={unknown}
            onChange={(event) => setKey(event.target.value)}
          />
          <button type="submit" className="button primary">
            {words.useKey}
          </button>
          {unknown && (
            <button
              type="button"
              className="button"
              onClick={() => {
                apiKey.forget();
                void client.resetQueries();
              }}
            >
              {words.withoutKey}
            </button>
          )}
        </form>
      }
    >
      {unknown && (
        <strong role="alert" className="key-unknown">
          {words.keyUnknown}
        </strong>
      )}
      {words.keyNeededText}
    </Message>
  );
}
