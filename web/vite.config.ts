import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compressed } from "./compressed.ts";
import { scriptBudget } from "./script-budget.ts";

const API = "http://127.0.0.1:8080";
const ROUTES = ["/search", "/text_search", "/image_search", "/collections", "/openapi.json", "/docs"];
const SCRIPT_BYTES = 150_000;

export default defineConfig({
  // Relative addresses: the same build works at `/` and under any path that an ingress puts before it.
  base: "./",
  plugins: [react(), scriptBudget(SCRIPT_BYTES), compressed()],
  build: { target: "es2022", assetsInlineLimit: 0 },
  server: { host: "127.0.0.1", proxy: Object.fromEntries(ROUTES.map((route) => [route, API])) },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}", "*.test.ts"],
    testTimeout: 30_000,
    setupFiles: ["src/test-setup.ts"],
  },
});
