/**
 * Vitest suites that test an adapter of your own against the promises that Zooid relies on: a store, a transport, a
 * bus.
 */
export * from "./ordered-store.js";
export * from "./transport.js";
export * from "./bus.js";
