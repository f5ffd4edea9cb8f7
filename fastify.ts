/** Route caching for Fastify: answers kept under tags, invalidated by tag on every node at once. */
export { routeCaching, type RouteCachingOptions } from "./web/route-caching.js";
export type { RouteCaching } from "./web/route-rules.js";
