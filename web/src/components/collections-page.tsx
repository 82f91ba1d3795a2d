import type { Api, Collection } from "../api/client.ts";
import type { Words } from "../i18n/en.ts";
import { useLanguage } from "../i18n/language.tsx";
import { type Search, START } from "../search/search.ts";
import "./collections-page.css";
import { ExamplePictures } from "./home.tsx";
import { PageLink } from "./page-link.tsx";

type Props = { api: Api; collections: Collection[]; onGo: (next: Search) => void };

/** Every collection: how much is in it, how far its indexing is, and whose vectors it holds. */
export function CollectionsPage({ api, collections, onGo }: Props) {
  const { words } = useLanguage();
  return (
    <section className="collections">
      <h1>{words.collectionsHeading}</h1>
      <ul>
        {collections.map((one) => (
          <li key={one.collection}>
            <PageLink className="collection" to={{ ...START, collection: one.collection }} onGo={onGo}>
              <ExamplePictures api={api} collection={one.collection} text="" />
              <CollectionText collection={one} />
            </PageLink>
          </li>
        ))}
      </ul>
    </section>
  );
}

function CollectionText({ collection }: { collection: Collection }) {
  const { words } = useLanguage();
  const { name, namespace, images, model, dims, status } = collection;
  return (
    <span className="collection-text">
      <b>{name}</b>
      <span>{words.picturesFound(images)}</span>
      {status && (
        <span className="collection-status" data-status={status}>
          {standing(collection, words)}
        </span>
      )}
      <span>
        {words.namespace}: {namespace}
      </span>
      <span>
        {words.model}: {model}, {words.dims(dims)}
      </span>
    </span>
  );
}

/** What its indexing does, in words. */
function standing({ status, lag, images_per_second: rate, updated_at }: Collection, words: Words): string {
  if (status === "up_to_date") return words.upToDate;
  if (status === "silent") return words.silentSince(updated_at ?? "");
  const waiting = words.waitingToBeIndexed(lag ?? 0);
  return rate ? `${waiting}, ${words.picturesPerSecond(rate)}` : waiting;
}
