import type { ReactNode } from "react";
import "./message.css";

type Props = { title: string; children: ReactNode; action?: ReactNode; alert?: boolean };

/** What stands in place of results: an error, nothing found, nothing there yet. */
export function Message({ title, children, action, alert = false }: Props) {
  return (
    <section className="message" role={alert ? "alert" : undefined}>
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </section>
  );
}
