import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Api, Hit, SearchResponse } from "../api/client.ts";

/** One picture of the collection: as it was found already, else asked for. Null where there is none (any more). */
export function usePicture(api: Api, collection: string, id: string | null) {
  const client = useQueryClient();
  return useQuery({
    queryKey: ["picture", collection, id],
    queryFn: ({ signal }) => (id === null ? null : api.picture(id, collection, signal)),
    enabled: id !== null,
    initialData: () => (id === null ? undefined : found(client, collection, id)),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

function found(client: QueryClient, collection: string, id: string): Hit | undefined {
  const searches = client.getQueriesData<{ pages: SearchResponse[] }>({ queryKey: ["search", collection] });
  return searches
    .flatMap(([, data]) => data?.pages ?? [])
    .flatMap((page) => page.hits)
    .find((hit) => hit.id === id);
}
