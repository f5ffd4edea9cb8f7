/** What became of an invalidation: other nodes have it now, or get it as soon as the bus takes it. */
export type Publication = "published" | "queued";
