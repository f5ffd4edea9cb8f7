/** Errors of Zooid, by subject. */
export { ZooidError, type ErrorClass, type Fact } from "./errors/base.js";
export * from "./errors/input.js";
export * from "./errors/actors.js";
export * from "./errors/transactions.js";
export * from "./errors/links.js";
export * from "./errors/storage.js";
export * from "./errors/cache.js";
export * from "./errors/codec.js";
export * from "./errors/thrown.js";
