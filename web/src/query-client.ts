import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api/client.ts";

const ONE_MINUTE_MS = 60 * 1000;
const LONGEST_WAIT_S = 30;

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: ONE_MINUTE_MS,
        refetchOnWindowFocus: false,
        // Once, and only when the service says when. One that is down says so at once, and the page offers to try again.
        retry: (failures, error) => failures === 0 && secondsToWait(error) !== null,
        retryDelay: (_, error) => (secondsToWait(error) ?? 0) * 1000,
        networkMode: "always", // the service may well run on this machine, which needs no network
      },
    },
  });
}

/** After how many seconds it is worth asking again; null where it is not, or not before the reader has gone. */
export function secondsToWait(error: Error | null): number | null {
  if (!(error instanceof ApiError) || error.status !== 429 || error.retryAfter === null) return null;
  return error.retryAfter <= LONGEST_WAIT_S ? error.retryAfter : null;
}
