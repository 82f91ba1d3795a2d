import { useQuery } from "@tanstack/react-query";
import type { Api, Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { faultOf } from "./failure.tsx";
import { type PictureActions, type PictureNews, Tile } from "./tile.tsx";

type Props = {
  api: Api;
  collection: string;
  hit: Hit;
  dead: ReadonlySet<string>;
  actions: PictureActions;
  news: PictureNews;
};

/** The near duplicates of a picture, as tiles that follow its own. */
export function Copies({ api, collection, hit, dead, actions, news }: Props) {
  const { words } = useLanguage();
  const ids = hit.duplicate_ids;
  const { data, error, refetch } = useQuery({
    queryKey: ["copies", collection, ids],
    queryFn: ({ signal }) => api.pictures(ids, collection, signal),
  });
  if (data) {
    return data
      .filter(({ id }) => !dead.has(id))
      .map((copy) => <Tile key={copy.id} hit={copy} actions={actions} news={news} />);
  }
  return (
    <li className="tile-note">
      {error ? (
        <>
          <p role="alert">{faultOf(error, words).text}</p>
          <button type="button" className="button" onClick={() => void refetch()}>
            {words.tryAgain}
          </button>
        </>
      ) : (
        <p role="status">{words.loading}</p>
      )}
    </li>
  );
}
