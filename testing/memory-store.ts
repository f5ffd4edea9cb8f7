import { firstIndex } from "../core/ordered-index.js";
import { assert } from "../core/assert.js";
import { asBuffer } from "../core/codec.js";
import { ClosedError, InUseError, WriteInDoubtError } from "../core/errors.js";
import {
  type BatchOptions,
  type ByteRange,
  type StoreChange,
  type OrderedStore,
  storeKeyBytesMax,
  type View,
} from "../storage/kv/ordered-store.js";

/**
 * Decides when a batch is durable, and whether it fails: calls `apply` when the batch is on the disk, then resolves.
 * When it rejects, the batch is in doubt: it is on the disk if `apply` was called before, otherwise not.
 */
export type WriteMemory = (apply: () => void) => Promise<void>;

/**
 * Called for a batch with no other batch before it or waiting for it. Returns true when it applied the batch durably in
 * this call.
 */
export type WriteMemoryNow = (apply: () => void) => boolean;

const writeInTurn: WriteMemory = (apply) => {
  apply();
  return Promise.resolve();
};

/** A disk in memory: durable data on it outlives the store that wrote it, and a crash. It has one owner at a time. */
export class MemoryDisk {
  readonly name: string;
  readonly #write: WriteMemory;
  readonly #writeNow: WriteMemoryNow;
  #entries = new SortedEntries();
  #store: MemoryStore | undefined;

  constructor(name: string, write: WriteMemory = writeInTurn, writeNow: WriteMemoryNow = () => false) {
    this.name = name;
    this.#write = write;
    this.#writeNow = writeNow;
  }

  /** An OpenStore. Rejects with InUseError until the store opened before is closed or crashed. */
  open = (): Promise<OrderedStore> => {
    if (this.#store?.isOwner === true) return Promise.reject(new InUseError({ folder: this.name }));
    this.#store = new MemoryStore(this.name, this.#entries, this.#write, this.#writeNow);
    return Promise.resolve(this.#store);
  };

  /**
   * Simulates a kill of the process that has it open: batches that are not durable are lost, their promises never
   * settle, and the disk can be opened again.
   */
  crash(): void {
    this.#store?.kill();
  }

  /** Removes all data. The store opened before must be closed or killed. */
  erase(): void {
    assert(this.#store?.isOwner !== true, "a disk that is erased is not in use");
    this.#entries = new SortedEntries();
  }

  /** A disk with the durable data of this one: a backup. */
  copy(name: string, write: WriteMemory = this.#write, writeNow: WriteMemoryNow = this.#writeNow): MemoryDisk {
    const copied = new MemoryDisk(name, write, writeNow);
    copied.#entries = this.#entries.copy();
    return copied;
  }
}

/** Opens a new store in memory, whose batches are durable at once. */
export function openMemoryStore(name = "memory"): Promise<OrderedStore> {
  return new MemoryDisk(name).open();
}

/**
 * Never settles, like the calls of a killed process. Each call gets a new promise: a shared one would keep all its
 * callers in memory.
 */
const never = () => new Promise<never>(() => undefined);

type State = "open" | "inDoubt" | "closing" | "closed" | "killed";

class MemoryStore implements OrderedStore {
  readonly path: string;
  readonly #entries: SortedEntries;
  readonly #write: WriteMemory;
  readonly #writeNow: WriteMemoryNow;
  #state: State = "open";
  #lastBatch: Promise<void> = Promise.resolve();
  #batchesUnderWay = 0;

  constructor(path: string, entries: SortedEntries, write: WriteMemory, writeNow: WriteMemoryNow) {
    this.path = path;
    this.#entries = entries;
    this.#write = write;
    this.#writeNow = writeNow;
  }

  get isOwner(): boolean {
    return this.#state !== "closed" && this.#state !== "killed";
  }

  read<T>(use: (view: View) => T): T {
    if (this.#state !== "open" && this.#state !== "inDoubt") throw new ClosedError({ what: this.path });
    let open = true;
    const check = (): void => {
      assert(open, "a view is used within its call");
    };
    try {
      return use({
        get: (key) => {
          check();
          return this.#entries.get(key);
        },
        range: (range) => this.#entries.range(range, check),
      });
    } finally {
      open = false;
    }
  }

  batch(changes: readonly StoreChange[], options: BatchOptions = {}): Promise<void> | undefined {
    if (this.#state === "inDoubt") return Promise.reject(new WriteInDoubtError({ folder: this.path }));
    if (this.#state !== "open") return Promise.reject(new ClosedError({ what: this.path }));
    if (changes.length === 0) return Promise.resolve();
    for (const { key } of changes) {
      assert(key.length > 0 && key.length <= storeKeyBytesMax, "a key of a store has 1 to 1,978 bytes");
    }
    if (options.alone === true && this.#batchesUnderWay === 0 && this.#writeNow(() => this.#entries.apply(changes))) return undefined;
    this.#batchesUnderWay += 1;
    // Batches are written one after the other: a later batch is never on the disk without the earlier ones.
    const written = this.#lastBatch.then(() => this.#writeBatch(changes));
    this.#lastBatch = written
      .catch(() => undefined)
      .then(() => {
        this.#batchesUnderWay -= 1;
      });
    return written;
  }

  get #isKilled(): boolean {
    return this.#state === "killed";
  }

  async #writeBatch(changes: readonly StoreChange[]): Promise<void> {
    if (this.#state === "inDoubt") throw new WriteInDoubtError({ folder: this.path });
    if (this.#isKilled) return never();
    try {
      await this.#write(() => {
        if (!this.#isKilled) this.#entries.apply(changes);
      });
    } catch (error) {
      if (this.#state === "open") this.#state = "inDoubt";
      if (!this.#isKilled) throw new WriteInDoubtError({ folder: this.path }, error);
    }
    if (this.#isKilled) return never();
  }

  async close(): Promise<void> {
    if (this.isOwner && this.#state !== "closing") this.#state = "closing";
    await this.#lastBatch;
    if (this.#state === "closing") this.#state = "closed";
  }

  kill(): void {
    this.#state = "killed";
  }
}

/**
 * Entries in the byte order of their keys. Keys are strings with one character for each byte, so that their order is
 * that of memcmp. An insertion moves all later keys, which is fast enough for tens of thousands.
 */
class SortedEntries {
  readonly #keys: string[] = [];
  readonly #values = new Map<string, Uint8Array>();

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(textOf(key));
  }

  apply(changes: readonly StoreChange[]): void {
    for (const { key, value } of changes) {
      const text = textOf(key);
      if (value === undefined) {
        if (this.#values.delete(text)) this.#keys.splice(this.#indexOf(text), 1);
      } else {
        if (!this.#values.has(text)) this.#keys.splice(this.#indexOf(text), 0, text);
        // A copy: the caller may change its bytes after the batch, as with a disk.
        this.#values.set(text, Uint8Array.from(value));
      }
    }
  }

  *range({ from, to, reverse = false }: ByteRange, check: () => void): Generator<readonly [Uint8Array, Uint8Array]> {
    const first = this.#indexOf(textOf(from));
    const end = this.#indexOf(textOf(to));
    for (let step = 0; step < end - first; step++) {
      check();
      const key = this.#keys[reverse ? end - 1 - step : first + step];
      const value = key === undefined ? undefined : this.#values.get(key);
      assert(key !== undefined && value !== undefined, "entries do not change while a view is open");
      yield [Buffer.from(key, "latin1"), value];
    }
  }

  copy(): SortedEntries {
    const copied = new SortedEntries();
    for (const key of this.#keys) copied.#keys.push(key);
    for (const [key, value] of this.#values) copied.#values.set(key, value);
    return copied;
  }

  /** Index of the first key that is not before `text`. */
  #indexOf(text: string): number {
    return firstIndex(this.#keys.length, (index) => (this.#keys[index] ?? "") < text);
  }
}

function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}
