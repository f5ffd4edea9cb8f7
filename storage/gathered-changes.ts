import type { Tag } from "../words/tag.js";
import type { DiskEntry } from "./disk-entry.js";
import { aboutKey, encodeAbout, encodeQueued, encodeVersion, queueKey, tagKey, valueKey } from "./entry-records.js";
import type { QueuedInvalidation } from "./entry-store.js";
import type { Change } from "./ordered-store.js";

/** What changed in a tier since the last batch; of several changes of one thing only the last is written. */
export class GatheredChanges {
  /** Undefined: to be removed, here and below. */
  #entries = new Map<string, DiskEntry | undefined>();
  #tags = new Map<Tag, number | undefined>();
  #queue = new Map<number, QueuedInvalidation | undefined>();
  #spoilt: readonly Uint8Array[];
  #bytes = 0;
  /** Entries whose values the batch in the air writes. */
  #inTheAir: DiskEntry[] = [];
  #inTheAirBytes = 0;

  /** `spoilt`: keys of the store that the first batch removes. */
  constructor(spoilt: readonly Uint8Array[]) {
    this.#spoilt = spoilt;
  }

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
    this.#tags.set(tag, sequence);
  }

  queued(order: number, queued: QueuedInvalidation | undefined): void {
    this.#queue.set(order, queued);
  }

  /** All of it, for a batch that is in the air until `wrote`. */
  take(wallOffsetMs: number): Change[] {
    const changes: Change[] = this.#spoilt.map((key) => ({ key, value: undefined }));
    for (const [key, entry] of this.#entries) {
      changes.push({ key: aboutKey(key), value: entry && encodeAbout(entry.about(wallOffsetMs)) });
      if (entry === undefined) changes.push({ key: valueKey(key), value: undefined });
      else if (entry.record !== undefined) {
        changes.push({ key: valueKey(key), value: entry.record });
        this.#inTheAir.push(entry);
      }
    }
    for (const [tag, sequence] of this.#tags) {
      changes.push({ key: tagKey(tag), value: sequence === undefined ? undefined : encodeVersion(sequence) });
    }
    for (const [order, queued] of this.#queue) changes.push({ key: queueKey(order), value: queued && encodeQueued(queued) });
    this.#inTheAirBytes = this.#bytes;
    this.#forget();
    return changes;
  }

  /** What was taken last is on disk. */
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
    this.#entries = new Map();
    this.#tags = new Map();
    this.#queue = new Map();
    this.#spoilt = [];
    this.#bytes = 0;
  }
}

function waitingBytes(entry: DiskEntry | undefined): number {
  return entry === undefined ? 0 : entry.bytes - (entry.record === undefined ? entry.valueBytes : 0);
}
