import type { AppliedInvalidation } from "../../storage/client-cache/client-cache.js";
import { limits, onAbort, type Tid } from "../../core/index.js";

/**
 * A change that a watcher reports. `changed`: the key was created, written or deleted. `reset`: any key may have
 * changed.
 */
export type Change<Key extends string = string> =
  { readonly type: "changed"; readonly key: Key; readonly tid: Tid } | { readonly type: "reset" };

/** The watchers of one client. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();

  get count(): number {
    return this.#watchers.size;
  }

  /** Changes of keys that begin with `prefix`, from this call on, until the signal aborts or the client is closed. */
  watch(prefix: string, signal: AbortSignal | undefined, bufferMax: number = limits.watchBufferMax): AsyncIterableIterator<Change> {
    const watcher = new Watcher(prefix, signal, bufferMax, () => this.#watchers.delete(watcher));
    if (signal?.aborted !== true) this.#watchers.add(watcher);
    return watcher;
  }

  applied({ tid, keys }: AppliedInvalidation): void {
    if (this.#watchers.size === 0) return;
    for (const watcher of this.#watchers) watcher.applied(tid, keys);
  }

  reset(): void {
    for (const watcher of this.#watchers) watcher.reset();
  }

  close(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }
}

type Waiting = (result: IteratorResult<Change, undefined>) => void;

/**
 * One watcher. It keeps the changes that were not taken yet, up to a bound. Beyond the bound one `reset` replaces them.
 */
class Watcher implements AsyncIterableIterator<Change> {
  readonly #prefix: string;
  readonly #stopListening: (() => void) | undefined;
  readonly #bufferMax: number;
  readonly #onEnd: () => void;
  #changes: Change[] = [];
  #waiting: Waiting[] = [];
  #isEnded: boolean;

  constructor(prefix: string, signal: AbortSignal | undefined, bufferMax: number, onEnd: () => void) {
    this.#prefix = prefix;
    this.#bufferMax = bufferMax;
    this.#onEnd = onEnd;
    this.#isEnded = signal?.aborted === true;
    this.#stopListening = signal && onAbort(signal, () => this.end());
  }

  applied(tid: Tid, keys: readonly string[]): void {
    for (const key of keys) if (key.startsWith(this.#prefix)) this.#give({ type: "changed", key, tid });
  }

  reset(): void {
    // A reset covers all changes before it.
    this.#changes = [];
    this.#give({ type: "reset" });
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#stopListening?.();
    this.#onEnd();
    for (const resolve of this.#waiting) resolve({ done: true, value: undefined });
    this.#waiting = [];
  }

  next(): Promise<IteratorResult<Change, undefined>> {
    const change = this.#changes.shift();
    if (change !== undefined) return Promise.resolve({ done: false, value: change });
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  return(): Promise<IteratorResult<Change, undefined>> {
    this.#changes = [];
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #give(change: Change): void {
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) resolve({ done: false, value: change });
    else if (this.#changes.length < this.#bufferMax) this.#changes.push(change);
    else if (this.#bufferMax > 0) this.#changes = [{ type: "reset" }];
  }
}
