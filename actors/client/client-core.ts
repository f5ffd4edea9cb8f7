import type { ClientConnectionOptions } from "./connection/connection-options.js";
import type { AnyActor } from "xstate";
import type { Tid, Seams } from "../../core/index.js";
import type { CommitBatches } from "./commit-batches.js";
import type { ClientConnection } from "./connection/connection.js";
import type { Loader } from "./loader.js";
import type { Committed, Invalidation } from "../protocol/messages.js";
import type { Notes } from "../record/notes.js";
import type { ValidatorTable } from "../protocol/schema.js";

/** A transaction whose outcome is open. */
export interface CommitUnderWay {
  readonly actor: AnyActor;
  /** Resolves to its outcome. */
  readonly ended: Promise<unknown>;
  /** Aborts it, except when its finish was sent. */
  abandon(): void;
  /** Stops settling an outcome that is in doubt: the outcome stays unknown. */
  giveUp(): void;
}

/** Parts that its connection uses, too. */
type Shared = "client" | "storage" | "cache" | "waitTimeoutMs" | "register";

/** The parts of a client that its transactions share. */
export interface ClientCore extends Seams, Pick<ClientConnectionOptions, Shared> {
  readonly connection: ClientConnection;
  readonly loader: Loader;
  readonly validators: ValidatorTable;
  /** Commits that fit in one message. */
  readonly batches: CommitBatches;
  /** Transactions that are voted or in doubt, by id. */
  readonly commits: Map<string, CommitUnderWay>;
  /** Returns an id that no other transaction has. It shows which client the transaction belongs to. */
  nextTransactionId(): string;
  /** Where the steps of its commits are noted while a process watches. */
  readonly notes: Notes;
  /**
   * Incremented when the cache belonged to another history and was dropped. Transactions that began before cannot
   * continue.
   */
  readonly history: number;
  /**
   * Incremented whenever the whole cache is dropped. A transaction that began before reads no further: a server that
   * has pruned the cache's last transaction cannot say whether both have the same history, so data that is loaded from
   * now on may not fit the data that was read before.
   */
  readonly discards: number;
  /**
   * Resolves when the client's position is `tid` or later. Rejects with DisconnectedError or TimeoutError after
   * `timeoutMs`.
   */
  reached(tid: Tid, timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Returns `promise`. The client's `close` waits for it. */
  track<T>(promise: Promise<T>): Promise<T>;
  /** Applies a commit of this client as an invalidation. Every snapshot that begins later contains it. */
  committed(committed: Committed, keys: Invalidation["keys"]): void;
}
