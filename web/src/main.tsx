import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./base.css";
import { createApi } from "./api/client.ts";
import { App } from "./app.tsx";
import { LanguageProvider } from "./i18n/language.tsx";
import { createQueryClient } from "./query-client.ts";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");

createRoot(root).render(
  <StrictMode>
    <LanguageProvider>
      <QueryClientProvider client={createQueryClient()}>
        <App api={createApi()} />
      </QueryClientProvider>
    </LanguageProvider>
  </StrictMode>,
);
