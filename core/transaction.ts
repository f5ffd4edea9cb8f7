import type { KeyRange } from "./key.js";
import { type Tid, tidZero } from "./tid.js";

/** One object written by a transaction; `value` undefined deletes it. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/**
 * A request to commit a transaction. The id identifies it: a request with the same id is the same transaction, sent
 * again.
 */
export interface CommitRequest {
  readonly id: string;
  /** Last tid of the snapshot in which everything was read. */
  readonly snapshot: Tid;
  /** False: only the writes are validated, not `reads` and `ranges`. */
  readonly serializable: boolean;
  /** Keys that were read, whether they were found or absent. */
  readonly reads: readonly string[];
  /** Ranges that were listed. */
  readonly ranges: readonly KeyRange[];
  /** Each key at most once. */
  readonly writes: readonly Write[];
}

/** A place in a history: a tid and the digest of all transactions up to it, 16 characters of `0-9a-f`. */
export interface Position {
  readonly tid: Tid;
  readonly digest: string;
}

/** Position before the first transaction. */
export const emptyPosition: Position = { tid: tidZero, digest: "0".repeat(16) };

/** A committed transaction in the log: its place in the chain and the keys it changed. */
export interface LoggedTransaction {
  /** Tid of the transaction before it. The chain has no gap as long as each transaction names the one before. */
  readonly previous: Tid;
  readonly tid: Tid;
  readonly digest: string;
  readonly id: string;
  readonly keys: readonly string[];
}

/** Final outcome of a transaction id: committed, or fenced, so that no late copy can commit. */
export type Outcome = { readonly type: "committed"; readonly tid: Tid } | { readonly type: "fenced" };
