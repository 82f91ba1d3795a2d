/** A word that the browser keeps for the page; where it lets the page keep nothing, it is forgotten with the page. */
export type Kept = { read: () => string | null; keep: (value: string) => void; forget: () => void };

/** `storage` is asked anew each time: where storage is switched off, merely to name it throws. */
export function kept(storage: () => Storage, key: string): Kept {
  let here: string | null = null;
  const attempt = <T>(action: (storage: Storage) => T): T | null => {
    try {
      return action(storage());
    } catch {
      return null;
    }
  };
  return {
    read: () => attempt((place) => place.getItem(key)) ?? here,
    keep: (value) => {
      here = value;
      attempt((place) => place.setItem(key, value));
    },
    forget: () => {
      here = null;
      attempt((place) => place.removeItem(key));
    },
  };
}
