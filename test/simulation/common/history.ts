import {
  decodeLogHead,
  decodeLogKeys,
  digestAfter,
  emptyHistory,
  historyKey,
  logFrom,
  objectKey,
  tidOfRevision,
  valueOfRevision,
} from "../../../storage/objects/records.js";
import type { View } from "../../../storage/kv/ordered-store.js";
import type { Tid } from "../../../core/index.js";
import { asTid, compareKeys, decodeValue } from "../../../core/index.js";

/** Revision of a key at one moment of a history. */
export interface Held {
  readonly serial: Tid;
  /** Undefined: the key is deleted. */
  readonly value: string | undefined;
}

/** One committed transaction and the state of the storage after it. */
export interface Moment {
  readonly tid: Tid;
  readonly digest: string;
  readonly id: string;
  /** Undefined only at the beginning. */
  readonly previous: Moment | undefined;
  /** Number of transactions before it. */
  readonly depth: number;
  /** When it became durable, on the world's clock. */
  readonly atMs: number;
  readonly writes: ReadonlyMap<string, string | undefined>;
  readonly state: ReadonlyMap<string, Held>;
}

/**
 * All transactions that were ever committed, as the server's disk has them, read batch by batch as each becomes
 * durable. A tree: a server restored from a backup continues from an earlier moment. It reads the records itself, so
 * that it trusts no code under test but their encoding.
 */
export class History {
  readonly beginning: Moment = {
    tid: emptyHistory.tid,
    digest: emptyHistory.digest,
    id: "",
    previous: undefined,
    depth: 0,
    atMs: -Infinity,
    writes: new Map(),
    state: new Map(),
  };
  readonly #moments = new Map<string, Moment>([[this.beginning.digest, this.beginning]]);
  readonly #broken: (what: string) => void;
  readonly #now: () => number;
  #head = this.beginning;

  /** `broken` is called when the log itself is not a history. */
  constructor(broken: (what: string) => void, now: () => number) {
    this.#broken = broken;
    this.#now = now;
  }

  /** The last durable moment of the storage in its current state. */
  get head(): Moment {
    return this.#head;
  }

  get moments(): Iterable<Moment> {
    return this.#moments.values();
  }

  /** The moment with this digest, on any branch. */
  at(digest: string): Moment | undefined {
    return this.#moments.get(digest);
  }

  /** The moment of transaction `tid` before or at `moment`. */
  find(tid: Tid, moment: Moment = this.#head): Moment | undefined {
    for (let at: Moment | undefined = moment; at !== undefined && at.tid >= tid; at = at.previous) if (at.tid === tid) return at;
    return undefined;
  }

  /**
   * The moment of transaction `tid` on the branch of `digest`: restores, and clocks that go back, may give one tid to
   * several moments.
   */
  named(tid: Tid, digest: string): Moment | undefined {
    const stand = this.#moments.get(digest);
    return stand === undefined ? undefined : this.find(tid, stand);
  }

  /** Whether `later` is `earlier` or descends from it. */
  leadsTo(earlier: Moment, later: Moment): boolean {
    return this.find(earlier.tid, later) === earlier;
  }

  /** Moments after `earlier` up to and including `later`, newest first. Undefined: one does not lead to the other. */
  between(earlier: Moment, later: Moment): Moment[] | undefined {
    const moments: Moment[] = [];
    for (let at: Moment | undefined = later; at !== undefined; at = at.previous) {
      if (at === earlier) return moments;
      moments.push(at);
    }
    return undefined;
  }

  /** Adds the transactions that became durable since the head. Returns the new moments, oldest first. */
  extend(view: View): readonly Moment[] {
    const added: Moment[] = [];
    for (const [key, record] of view.range(logFrom(asTid(this.#head.tid + 1)))) {
      const { previous, tid, digest, id } = decodeLogHead(key, record);
      if (previous !== this.#head.tid) this.#broken(`transaction ${tid} names ${previous} as its predecessor, which is ${this.#head.tid}`);
      if (digest !== digestAfter(this.#head.digest, id, tid)) this.#broken(`transaction ${tid} has a digest that is not its own`);
      const writes = new Map<string, string | undefined>();
      const state = new Map(this.#head.state);
      for (const written of decodeLogKeys(record)) {
        const value = this.#valueAt(view, written, tid);
        writes.set(written, value);
        state.set(written, { serial: tid, value });
      }
      const moment: Moment = { tid, digest, id, previous: this.#head, depth: this.#head.depth + 1, atMs: this.#now(), writes, state };
      this.#moments.set(digest, moment);
      this.#head = moment;
      added.push(moment);
    }
    return added;
  }

  /** The storage was restored: it continues from `moment`. */
  restore(moment: Moment): void {
    this.#head = moment;
  }

  #valueAt(view: View, key: string, tid: Tid): string | undefined {
    const current = view.get(objectKey(key));
    const revision = current !== undefined && tidOfRevision(current) === tid ? current : view.get(historyKey(key, tid));
    if (revision === undefined) {
      this.#broken(`transaction ${tid} wrote ${key}, which has no revision of it`);
      return undefined;
    }
    const bytes = valueOfRevision(revision);
    return bytes === undefined ? undefined : String(decodeValue(bytes).value);
  }
}

/** Rows that a listing of `prefix` gives at `moment`, in the order of keys. */
export function listAt(moment: Moment, prefix: string): readonly (readonly [key: string, value: string])[] {
  const rows: [string, string][] = [];
  for (const [key, { value }] of moment.state) if (value !== undefined && key.startsWith(prefix)) rows.push([key, value]);
  return rows.toSorted(([a], [b]) => compareKeys(a, b));
}
