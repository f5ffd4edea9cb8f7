/** Outcome of an invalidation: other nodes have it, or get it as soon as the bus accepts it. */
export type Publication = "published" | "queued";
