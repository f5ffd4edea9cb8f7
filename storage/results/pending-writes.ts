import type { Tag } from "../../core/tag.js";
import type { DiskEntry } from "./disk-entry.js";
import { encodeAbout, encodeQueued, encodeVersion, queueKey, type RecordKeys } from "./entry-records.js";
import type { QueuedInvalidation } from "./entry-store.js";
import type { StoreChange } from "../kv/ordered-store.js";

/** Changes of a tier since the last batch; of several changes of the same record only the last is written. */
export class PendingWrites {
  /** Undefined: a removal, here and below. */
  #entries = new Map<string, DiskEntry | undefined>();
  #versions = new Map<Tag, number | undefined>();
  #queue = new Map<number, QueuedInvalidation | undefined>();
  #bytes = 0;
  /** Entries whose values the batch in flight writes. */
  #inTheAir: DiskEntry[] = [];
  #inTheAirBytes = 0;

  /** Bytes of entries that are not on disk yet. */
  get waitingBytes(): number {
    return this.#bytes + this.#inTheAirBytes;
  }

  entry(key: string, entry: DiskEntry | undefined): void {
    this.#bytes += waitingBytes(entry) - waitingBytes(this.#entries.get(key));
    this.#entries.set(key, entry);
    if (entry !== undefined) entry.writtenMs = entry.usedMs;
  }

  version(tag: Tag, sequence: number | undefined): void {
    this.#versions.set(tag, sequence);
  }

  queued(order: number, queued: QueuedInvalidation | undefined): void {
    this.#queue.set(order, queued);
  }

  /** Drops pending changes of a generation that ends. */
  forgetEntries(): void {
    this.#entries = new Map();
    this.#bytes = 0;
  }

  forgetVersions(): void {
    this.#versions = new Map();
  }

  /** All changes, for a batch that is in flight until `wrote` is called. */
  takeChanges(keys: RecordKeys, wallOffsetMs: number): StoreChange[] {
    const changes: StoreChange[] = [];
    for (const [key, entry] of this.#entries) {
      changes.push({ key: keys.about(key), value: entry && encodeAbout(entry.about(wallOffsetMs)) });
      if (entry === undefined) changes.push({ key: keys.value(key), value: undefined });
      else if (entry.record !== undefined) {
        changes.push({ key: keys.value(key), value: entry.record });
        this.#inTheAir.push(entry);
      }
    }
    for (const [tag, sequence] of this.#versions) {
      changes.push({ key: keys.version(tag), value: sequence === undefined ? undefined : encodeVersion(sequence) });
    }
    for (const [order, queued] of this.#queue) changes.push({ key: queueKey(order), value: queued && encodeQueued(queued) });
    this.#inTheAirBytes = this.#bytes;
    this.#forget();
    return changes;
  }

  /** The changes taken last are on disk. */
  wrote(): void {
    for (const entry of this.#inTheAir) entry.record = undefined;
    this.#inTheAir = [];
    this.#inTheAirBytes = 0;
  }

  clear(): void {
    this.#forget();
    this.wrote();
  }

  #forget(): void {
    this.forgetEntries();
    this.forgetVersions();
    this.#queue = new Map();
  }
}

function waitingBytes(entry: DiskEntry | undefined): number {
  return entry === undefined ? 0 : entry.bytes - (entry.record === undefined ? entry.valueBytes : 0);
}
