import type { ReactNode } from "react";
import "./notice.css";

type Props = { children: ReactNode; alert?: boolean; action?: ReactNode };

/** A line above what it is about; an alert where something failed. */
export function Notice({ children, alert = false, action }: Props) {
  return (
    <div className="notice" data-alert={alert} role={alert ? "alert" : "note"}>
      <p>{children}</p>
      {action}
    </div>
  );
}
