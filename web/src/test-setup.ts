/** What jsdom leaves out of a browser and the page relies on. */

import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, expect, vi } from "vitest";

configure({ asyncUtilTimeout: 10_000 }); // on a busy machine a second is not much

window.scrollTo = () => {};
HTMLCanvasElement.prototype.getContext = () => null;
URL.createObjectURL = () => "blob:preview";
URL.revokeObjectURL = () => {};
HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};

// What React complains about is a fault of the page.
const complaints = vi.spyOn(console, "error").mockImplementation(() => {});

beforeEach(() => {
  complaints.mockClear();
  window.history.replaceState(null, "", "/");
  localStorage.clear();
  sessionStorage.clear();
});

afterEach(() => {
  cleanup();
  expect(complaints.mock.calls).toEqual([]);
});
