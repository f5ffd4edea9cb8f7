import type { ClientCache } from "../../../storage/client-cache/client-cache.js";
import { checkSize, limits, SnapshotTooOldError, type Tid } from "../../../core/index.js";
import type { Invalidation, LogPage, Position } from "../../protocol/messages.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import type { ServerLink } from "./server-link.js";
import * as wire from "../../protocol/codec.js";

/** Reads missed invalidations from the log of the server that the client is registered with. */
export interface MissedReader {
  log(after: Tid): Promise<LogPage>;
  keys(tid: Tid, from: number): Promise<readonly string[]>;
}

/** Reads the log over `link`. */
export function readerOver(link: ServerLink): MissedReader {
  const { session } = link;
  return {
    log: (after) => link.request("log", wire.logRequest.write({ session, after }), wire.logPage),
    keys: async (tid, from) => {
      const page = await link.request("keys", wire.keysRequest.write({ session, tid, from }), wire.keysPage);
      return page.keys;
    },
  };
}

export interface InvalidationIntakeOptions extends ClientConnectionOptions {
  /** Called when the server's log cannot be followed from the client's position. */
  readonly onLost: (reason: string) => void;
}

/**
 * Applies invalidations to the cache in the order of the chain. They arrive by broadcast, with the answers to own
 * commits, and from the log. An invalidation is applied only when the client is at its predecessor. An early one is
 * kept, within a bound, while the missing ones are fetched. Until then the position does not move: a gap is a delay.
 */
export class InvalidationIntake {
  readonly #options: InvalidationIntakeOptions;
  readonly #cache: ClientCache;
  /** Early invalidations, by the tid of their predecessor. */
  readonly #early = new Map<Tid, Invalidation>();
  #reader: MissedReader | undefined;
  /** The cache is verified: this server has its history, so that invalidations may be applied. */
  #isFollowing = false;
  /** The greatest tid that the server has shown. */
  #seen: Tid;
  #fetching: Promise<void> | undefined;

  constructor(options: InvalidationIntakeOptions) {
    this.#options = options;
    this.#cache = options.cache;
    this.#seen = options.cache.position.tid;
  }

  get early(): number {
    return this.#early.size;
  }

  /**
   * From now on keeps a server's invalidations, but applies none: the server may have another history than the cache.
   */
  listen(reader: MissedReader): void {
    this.#early.clear();
    this.#reader = reader;
    this.#isFollowing = false;
    this.#fetching = undefined;
    this.#seen = this.#cache.position.tid;
  }

  /** Neither keeps nor applies invalidations: the client is registered with no server. */
  stop(): void {
    this.#early.clear();
    this.#reader = undefined;
    this.#isFollowing = false;
    this.#fetching = undefined;
  }

  /** Applies all transactions in the log after the position. Resolves to their number; rejects as the reader does. */
  async replay(): Promise<number> {
    const reader = this.#reader;
    let applied = 0;
    if (reader === undefined) return applied;
    for (;;) {
      const page = await reader.log(this.#cache.position.tid);
      if (reader !== this.#reader) return applied;
      const before = applied;
      for (const transaction of page.transactions) {
        if (transaction.previous !== this.#cache.position.tid) continue;
        const keys = await this.#keysOf(transaction, reader);
        if (reader !== this.#reader) return applied;
        // Its broadcast may have been applied while its keys were read.
        if (transaction.previous !== this.#cache.position.tid) continue;
        this.#apply(transaction, keys);
        applied++;
      }
      if (page.whole || applied === before) return applied;
    }
  }

  /** From now on applies the server's invalidations as they arrive. */
  follow(): void {
    this.#isFollowing = true;
    this.#advance();
  }

  receive(transactions: readonly Invalidation[]): void {
    if (this.#reader === undefined) return;
    for (const transaction of transactions) {
      if (transaction.tid > this.#seen) this.#seen = transaction.tid;
      // Nearly all of them follow the position directly, and need not be kept first.
      if (this.#isFollowing && transaction.keys !== undefined && transaction.previous === this.#cache.position.tid) {
        this.#apply(transaction, transaction.keys);
      } else if (transaction.tid > this.#cache.position.tid && this.#early.size < limits.earlyInvalidationsMax) {
        this.#early.set(transaction.previous, transaction);
      }
    }
    if (this.#isFollowing) this.#advance();
  }

  /** The server is at `position`. Fetches the missing invalidations up to it. */
  reach(position: Position): void {
    if (position.tid > this.#seen) this.#seen = position.tid;
    if (!this.#isFollowing) return;
    if (position.tid === this.#cache.position.tid && position.digest !== this.#cache.position.digest) {
      this.#options.onLost("it has another history");
      return;
    }
    this.#advance();
  }

  #advance(): void {
    while (this.#early.size > 0) {
      const next = this.#early.get(this.#cache.position.tid);
      if (next?.keys === undefined) break;
      this.#early.delete(next.previous);
      this.#apply(next, next.keys);
    }
    if (this.#seen <= this.#cache.position.tid || this.#fetching !== undefined || this.#reader === undefined) return;
    const fetching = this.#fetch(this.#reader);
    this.#fetching = fetching;
  }

  async #fetch(reader: MissedReader): Promise<void> {
    const { log } = this.#options;
    let applied = 0;
    try {
      applied = await this.replay();
      if (applied > 0) log.debug({ applied, position: this.#cache.position.tid }, "missed invalidations were fetched");
    } catch (error) {
      if (reader !== this.#reader) return;
      log.debug({ err: error, position: this.#cache.position.tid }, "missed invalidations could not be fetched");
      if (error instanceof SnapshotTooOldError) this.#options.onLost("its log does not reach back to the position");
    }
    if (reader !== this.#reader) return;
    this.#fetching = undefined;
    this.#forgetPassed();
    // If nothing was applied, the next heartbeat or invalidation tries again.
    if (applied > 0) this.#advance();
  }

  #forgetPassed(): void {
    for (const [previous, { tid }] of this.#early) if (tid <= this.#cache.position.tid) this.#early.delete(previous);
  }

  async #keysOf(transaction: Invalidation, reader: MissedReader): Promise<readonly string[]> {
    if (transaction.keys !== undefined) return transaction.keys;
    const keys: string[] = [];
    for (;;) {
      const page = await reader.keys(transaction.tid, keys.length);
      if (page.length === 0) return keys;
      for (const key of page) keys.push(key);
      checkSize("keys of an invalidation", keys.length, limits.transactionKeysMax);
    }
  }

  #apply(transaction: Invalidation, keys: readonly string[]): void {
    const { previous, tid, digest } = transaction;
    const invalidation = { previous, tid, digest, keys };
    this.#cache.apply(invalidation);
    this.#early.delete(previous);
    this.#options.onApplied(invalidation);
  }
}
