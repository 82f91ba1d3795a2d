/** The whole page over a search API in memory, for tests. */

import { QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { Api } from "./api/client.ts";
import { App } from "./app.tsx";
import { LanguageProvider } from "./i18n/language.tsx";
import { createQueryClient } from "./query-client.ts";

export function open(api: Api, address = "/") {
  window.history.replaceState(null, "", address);
  show(api);
  return userEvent.setup({ applyAccept: false });
}

/** As after a reload: the history stays, everything else is new. */
export function show(api: Api) {
  return render(
    <LanguageProvider>
      <QueryClientProvider client={createQueryClient()}>
        <App api={api} />
      </QueryClientProvider>
    </LanguageProvider>,
  );
}

export const box = () => screen.getByRole("searchbox", { name: "Search pictures" });
export const tiles = () => screen.findAllByRole("button", { name: /^Show (A duck|Picture)/ });
export const status = () => screen.getAllByRole("status")[0]?.textContent;
export const heading = (name: string | RegExp) => screen.findByRole("heading", { name });

/** Words in the box, at once and not letter by letter: what they lead to is asked for when the typing pauses. */
export function type(text: string) {
  fireEvent.change(box(), { target: { value: text } });
}

export const cat = new File([new Uint8Array([1, 2, 3])], "cat.png", { type: "image/png" });
