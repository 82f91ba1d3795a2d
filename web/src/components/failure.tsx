import { ApiError, wantsKey } from "../api/client.ts";
import type { Words } from "../i18n/en.ts";
import { useLanguage } from "../i18n/language.tsx";
import { KeyForm } from "./key-form.tsx";
import { Message } from "./message.tsx";

type Fault = {
  title: string;
  text: string;
  /** Whether the text is the service's own: that is in English, whatever the page speaks. */
  quoted: boolean;
};

/** What went wrong, in the service's words where it has any. */
export function faultOf(error: Error, words: Words): Fault {
  if (!(error instanceof ApiError)) return { title: words.somethingWrong, text: error.message, quoted: true };
  const { status, title, detail } = error;
  if (status === 0) return { title: words.noAnswer, text: words.noAnswerText, quoted: false };
  return {
    title: title ?? (status >= 500 ? words.serviceProblem : words.refused),
    text: detail ?? words.statusWithoutReason(status),
    quoted: detail !== null,
  };
}

/** In place of what could not be had: why, and what can be done about it. */
export function Failure({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { words } = useLanguage();
  if (wantsKey(error)) return <KeyForm />;
  const { title, text, quoted } = faultOf(error, words);
  const passing = error instanceof ApiError ? error.passing : true;
  return (
    <Message
      alert
      title={title}
      action={
        passing && (
          <button type="button" className="button primary" onClick={onRetry}>
            {words.tryAgain}
          </button>
        )
      }
    >
      <span lang={quoted ? "en" : undefined}>{text}</span>
    </Message>
  );
}
