/** Route caching for Fastify: answers kept under tags, invalidated by tag on every node at once. */
export { routeCaching, type RouteCachingOptions } from "./fastify/route-caching.js";
export type { RouteCaching } from "./fastify/route-rules.js";
