import { limits } from "../../core/limits.js";
import { type Tid, tidZero } from "../../core/tid.js";

/** Commits of this client that are acknowledged and cannot be applied yet, as one: the last of them, and what they all wrote. */
export class CommitsAhead {
  #tid: Tid = tidZero;
  /** Undefined: they may have written anything. */
  #keys: Set<string> | undefined = new Set();

  get isEmpty(): boolean {
    return this.#tid === tidZero;
  }

  /** A commit with tid `tid` has written `keys`; undefined: that is not known. */
  addCommit(tid: Tid, keys: readonly string[] | undefined): void {
    if (tid > this.#tid) this.#tid = tid;
    if (this.#keys === undefined) return;
    if (keys !== undefined) for (const key of keys) this.#keys.add(key);
    if (keys === undefined || this.#keys.size > limits.rememberedKeysMax) this.#keys = undefined;
  }

  /** Transactions were applied up to `tid`: commits up to it are not ahead any more. */
  reached(tid: Tid): void {
    if (!this.isEmpty && tid >= this.#tid) this.clear();
  }

  clear(): void {
    this.#tid = tidZero;
    this.#keys = new Set();
  }

  /** One of them may have written `key`. */
  has(key: string): boolean {
    return !this.isEmpty && this.#keys?.has(key) !== false;
  }

  /** One of them may have written a key that begins with `prefix`. */
  hasBelow(prefix: string): boolean {
    if (this.isEmpty) return false;
    if (this.#keys === undefined) return true;
    for (const key of this.#keys) if (key.startsWith(prefix)) return true;
    return false;
  }
}
