import { limits, type Tid, tidZero } from "../../core/index.js";

/**
 * Commits of this client that are acknowledged but cannot be applied yet, combined: the last of them, and all keys they
 * wrote.
 */
export class CommitsAhead {
  #tid: Tid = tidZero;
  /** Undefined: they may have written any key. */
  #keys: Set<string> | undefined = new Set();

  get isEmpty(): boolean {
    return this.#tid === tidZero;
  }

  /** A commit with tid `tid` wrote `keys`; undefined: its keys are unknown. */
  addCommit(tid: Tid, keys: readonly string[] | undefined): void {
    if (tid > this.#tid) this.#tid = tid;
    if (this.#keys === undefined) return;
    if (keys !== undefined) for (const key of keys) this.#keys.add(key);
    if (keys === undefined || this.#keys.size > limits.rememberedKeysMax) this.#keys = undefined;
  }

  /** Transactions are applied up to `tid`: commits up to it are no longer ahead. */
  reached(tid: Tid): void {
    if (!this.isEmpty && tid >= this.#tid) this.clear();
  }

  clear(): void {
    this.#tid = tidZero;
    this.#keys = new Set();
  }

  /** Whether one of them may have written `key`. */
  has(key: string): boolean {
    return !this.isEmpty && this.#keys?.has(key) !== false;
  }

  /** Whether one of them may have written a key that begins with `prefix`. */
  hasBelow(prefix: string): boolean {
    if (this.isEmpty) return false;
    if (this.#keys === undefined) return true;
    for (const key of this.#keys) if (key.startsWith(prefix)) return true;
    return false;
  }
}
