/** Suites of vitest that hold an adapter of your own to what Zooid relies on: a store, a transport, a bus. */
export * from "./ordered-store.js";
export * from "./transport.js";
export * from "./bus.js";
