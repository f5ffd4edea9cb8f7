/**
 * What a test says to a node, and a node to a test. Each ask is answered once, under its number; while a node computes, it reads
 * the one database there is, which the test keeps: what is true is known at one place, by one clock.
 */
import type { CacheOptions } from "../../../cache.js";

/** Options of a cache that can travel. */
export type NodeOptions = Pick<
  CacheOptions,
  "storageUrl" | "busUrl" | "busKind" | "prefix" | "maxBytes" | "maxStaleSecs" | "publishTimeout"
>;

export type Ask =
  | { readonly type: "open"; readonly cell: string; readonly options: NodeOptions; readonly wallClockBehindMs: number }
  /** The cached function: `entry` is its argument, its tag, and the row that it reads. */
  | { readonly type: "call"; readonly cell: string; readonly entry: string }
  | { readonly type: "invalidateKey"; readonly cell: string; readonly entry: string }
  | { readonly type: "invalidateTag"; readonly cell: string; readonly tag: string }
  /** Forgets every tag that nothing depends on. */
  | { readonly type: "prune"; readonly cell: string }
  /** Keeps `entries` others, of a kilobyte each. */
  | { readonly type: "fill"; readonly cell: string; readonly entries: number }
  | { readonly type: "stats"; readonly cell: string }
  /** The latest warnings and news of a cache. */
  | { readonly type: "log"; readonly cell: string }
  /** Bytes in use once what is unreachable was collected. */
  | { readonly type: "memory" };

/** What a call gave, and whether its node said just before that it follows the bus. */
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
