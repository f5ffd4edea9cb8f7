/**
 * The words that all rooms share: values, keys, tids, errors and bounds, and the interfaces for time, randomness and
 * logging.
 */
export * from "./aborting.js";
export * from "./assert.js";
export * from "./backoff.js";
export * from "./random.js";
export * from "./clock.js";
export * from "./codec.js";
export * from "./counts.js";
export * from "./deferred.js";
export * from "./duration.js";
export * from "./errors.js";
export * from "./key.js";
export * from "./limits.js";
export * from "./log.js";
export * from "./object-read.js";
export * from "./options.js";
export * from "./ordered-index.js";
export * from "./pace.js";
export * from "./secret.js";
export * from "./transaction.js";
export * from "./tag.js";
export * from "./tag-template.js";
export * from "./tid.js";
export * from "./value.js";
