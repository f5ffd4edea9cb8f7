import type { AppliedInvalidation, ClientCache } from "../../../storage/client-cache/client-cache.js";
import { limits, SnapshotTooOldError, TooLargeError, type Log, type Tid } from "../../../core/index.js";
import type { Invalidation, LogPage, Position } from "../../protocol/messages.js";

/** Where the intake reads what it missed: the log of the server that the client is registered with. */
export interface MissedReader {
  log(after: Tid): Promise<LogPage>;
  keys(tid: Tid, from: number): Promise<readonly string[]>;
}

export interface InvalidationIntakeOptions {
  readonly cache: ClientCache;
  readonly log: Log;
  /** Called with each invalidation once it was applied. */
  readonly onApplied: (invalidation: AppliedInvalidation) => void;
  /** The server's log cannot be followed from where the client stands. */
  readonly onLost: (reason: string) => void;
}

/**
 * Brings invalidations into the cache in the order of the chain, from wherever they come: broadcast, the answers of own
 * commits, the log. One applies only when the client stands at its predecessor; one that does not is kept, bounded, while
 * the missing ones are fetched. Until then the position stands still: a gap is a lag.
 */
export class InvalidationIntake {
  readonly #options: InvalidationIntakeOptions;
  readonly #cache: ClientCache;
  /** Kept until they follow, by the tid of their predecessor. */
  readonly #early = new Map<Tid, Invalidation>();
  #reader: MissedReader | undefined;
  /** Verified: this server's history is the cache's, so what it tells may be applied. */
  #isFollowing = false;
  /** The server was seen to stand here. */
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

  /** Keeps what a server tells from now on, and applies nothing: it is not known yet whether its history is the cache's. */
  listen(reader: MissedReader): void {
    this.#early.clear();
    this.#reader = reader;
    this.#isFollowing = false;
    this.#fetching = undefined;
    this.#seen = this.#cache.position.tid;
  }

  /** Neither keeps nor applies: no server is registered with. */
  stop(): void {
    this.#early.clear();
    this.#reader = undefined;
    this.#isFollowing = false;
    this.#fetching = undefined;
  }

  /** Applies all that the log has after the position. Resolves to how many; rejects as the reader does. */
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
        // While its keys were read, its broadcast may have been applied.
        if (transaction.previous !== this.#cache.position.tid) continue;
        this.#apply(transaction, keys);
        applied++;
      }
      if (page.whole || applied === before) return applied;
    }
  }

  /** From now on what the server tells is applied as it comes. */
  follow(): void {
    this.#isFollowing = true;
    this.#advance();
  }

  receive(transactions: readonly Invalidation[]): void {
    if (this.#reader === undefined) return;
    for (const transaction of transactions) {
      if (transaction.tid > this.#seen) this.#seen = transaction.tid;
      // One that follows at once, as nearly all do, is not kept first.
      if (this.#isFollowing && transaction.keys !== undefined && transaction.previous === this.#cache.position.tid) {
        this.#apply(transaction, transaction.keys);
      } else if (transaction.tid > this.#cache.position.tid && this.#early.size < limits.earlyInvalidationsMax) {
        this.#early.set(transaction.previous, transaction);
      }
    }
    if (this.#isFollowing) this.#advance();
  }

  /** The server stands at `position`: what is missing up to there is fetched. */
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
    // Without progress the next heartbeat or invalidation tries again.
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
      if (keys.length > limits.transactionKeysMax) {
        throw new TooLargeError({ what: "keys of an invalidation", size: keys.length, sizeMax: limits.transactionKeysMax });
      }
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
