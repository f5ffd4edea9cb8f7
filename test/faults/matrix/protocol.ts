/**
 * Messages between the test and a node. Each request is answered once, under its number. A node that computes reads the
 * only database, which the test holds, so that the current versions are known at one place, by one clock.
 */
import type { CacheOptions } from "../../../cache.js";

/** Options of a cache that can be sent to another process. */
export type NodeOptions = Pick<
  CacheOptions,
  "storageUrl" | "busUrl" | "busKind" | "prefix" | "maxBytes" | "maxStaleSecs" | "publishTimeout"
>;

export type Ask =
  | { readonly type: "open"; readonly cell: string; readonly options: NodeOptions; readonly wallClockBehindMs: number }
  /** Calls the cached function. `entry` is its argument, its tag, and the row that it reads. */
  | { readonly type: "call"; readonly cell: string; readonly entry: string }
  | { readonly type: "invalidateKey"; readonly cell: string; readonly entry: string }
  | { readonly type: "invalidateTag"; readonly cell: string; readonly tag: string }
  /** Prunes every tag without dependents. */
  | { readonly type: "prune"; readonly cell: string }
  /** Keeps `entries` other results of one kilobyte each. */
  | { readonly type: "fill"; readonly cell: string; readonly entries: number }
  | { readonly type: "stats"; readonly cell: string }
  /** The latest log lines of a cache. */
  | { readonly type: "log"; readonly cell: string }
  /** Bytes in use after garbage collection. */
  | { readonly type: "memory" };

/** The result of a call, and whether the node followed the bus just before. */
export interface CallAnswer {
  readonly version: number;
  readonly isFollowing: boolean;
}

export type ToNode =
  | { readonly type: "ask"; readonly number: number; readonly ask: Ask }
  | { readonly type: "row"; readonly number: number; readonly version: number };

export type FromNode =
  | { readonly type: "ready" }
  | { readonly type: "answer"; readonly number: number; readonly answer: unknown }
  | { readonly type: "failure"; readonly number: number; readonly failure: string }
  | { readonly type: "read"; readonly number: number; readonly cell: string; readonly entry: string };
