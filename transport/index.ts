/** Messages between places: the interface, and its implementations. */
export * from "./in-process.js";
export * from "./subject.js";
export type * from "./transport.js";
