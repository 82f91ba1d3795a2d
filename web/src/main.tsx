import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createApi } from "./api/client.ts";
import { App } from "./app.tsx";
import "./styles.css";

const FIVE_MINUTES = 5 * 60 * 1000;

const queryClient = new QueryClient({
  // No silent retries: a service that is down answers so at once, and the page offers to try again.
  defaultOptions: { queries: { retry: false, staleTime: FIVE_MINUTES, refetchOnWindowFocus: false } },
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App api={createApi()} />
    </QueryClientProvider>
  </StrictMode>,
);
