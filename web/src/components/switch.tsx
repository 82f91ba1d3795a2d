import "./switch.css";

type Props = { label: string; on: boolean; onChange: (on: boolean) => void };

export function Switch({ label, on, onChange }: Props) {
  return (
    <label className="switch">
      <input type="checkbox" checked={on} onChange={(event) => onChange(event.target.checked)} />
      {label}
    </label>
  );
}
