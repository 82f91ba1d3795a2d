import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createApi } from "./api/client.ts";
import { App } from "./app.tsx";
import "./styles.css";

const ONE_MINUTE = 60 * 1000;

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: ONE_MINUTE,
      refetchOnWindowFocus: false,
      retry: false, // a service that is down answers so at once, and the page offers to try again
      networkMode: "always", // the service may well run on this machine, which needs no network
    },
  },
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
