import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientCache, LoadTicket } from "../../../storage/client-cache/client-cache.js";
import { MemoryEntryStore } from "../../../storage/results/memory-entries.js";
import { ObjectReads } from "../../../storage/client-cache/object-reads.js";
import type { ObjectRead } from "../../../core/object-read.js";
import { TagTrie } from "../../../storage/results/tag-trie.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { assert, encodeValue, rootTag, type Tid } from "../../../core/index.js";
import { at, openCache, tid } from "../../suites/client-cache.js";

const keys = ["a", "ab", "abc", "b", "ba", "c"] as const;
const prefixes = ["", "a", "ab", "b", "x"] as const;

const actions =
  "commit commit apply apply apply discard begin begin end compute read read read read answer answer list list keep keep sweep".split(" ");

/** One read of a computation, and its result: serials by key. */
interface Read {
  readonly kind: "key" | "prefix";
  readonly text: string;
  readonly said: string;
  readonly read: ObjectRead;
  /**
   * Whether the cache can know of all commits applied after the snapshot, so that the read must not be stale without a
   * reason.
   */
  readonly isKnown: boolean;
  readonly discards: number;
}

interface OpenSnapshot {
  readonly snapshot: Tid;
  readonly ticket: LoadTicket | undefined;
  readonly discards: number;
}

interface Asked {
  readonly open: OpenSnapshot;
  readonly ticket: LoadTicket;
  readonly key: string;
  readonly read: ObjectRead;
  readonly computation: Read[];
}

/** A client's cache and the reads of computations, next to the whole history, which the model searches. */
class Run {
  readonly #history: { readonly tid: Tid; readonly keys: readonly string[] }[] = [];
  readonly #cache: ClientCache;
  readonly #entries: MemoryEntryStore;
  readonly #isExact: boolean;
  readonly #pictures: OpenSnapshot[] = [];
  readonly #computations: Read[][] = [];
  readonly #asked: Asked[] = [];
  /** Reads of each result in the tier, by the key of the result. */
  readonly #kept = new Map<string, readonly Read[]>();
  #applied = 0;
  #discards = 0;
  #nextKey = 0;
  readonly found = { hits: 0, stale: 0, notKept: 0 };

  constructor(cache: ClientCache, isExact: boolean) {
    this.#cache = cache;
    this.#isExact = isExact;
    const clock = new SimulatedClock();
    this.#entries = new MemoryEntryStore({ trie: new TagTrie({ clock }), clock, entriesMax: isExact ? Infinity : 4 });
  }

  step(what: number, x: number, y: number): void {
    switch (actions[what]) {
      case "commit":
        this.#commit(x, y);
        break;
      case "apply":
        this.#apply();
        break;
      case "discard":
        if (y % 8 === 0) this.#discard();
        break;
      case "begin":
        this.#begin(y % 3 > 0);
        break;
      case "end":
        this.#end(x);
        break;
      case "compute":
        this.#computations.push([]);
        break;
      case "read":
        this.#readKey(x, y);
        break;
      case "answer":
        this.#answer(x);
        break;
      case "list":
        this.#list(x, y);
        break;
      case "keep":
        this.#keep(x);
        break;
      default:
        this.#entries.sweep(0);
    }
    this.#check();
  }

  #commit(x: number, y: number): void {
    const touched = keys.filter((_, index) => index === x % keys.length || (y >> index) % 4 === 3);
    const last = this.#history.at(-1)?.tid ?? 0;
    this.#history.push({ tid: tid(last + 1 + (y % 2)), keys: touched });
  }

  #apply(): void {
    const next = this.#history[this.#applied];
    if (next === undefined) return;
    this.#applied++;
    this.#cache.apply({ previous: this.#cache.position.tid, digest: at(next.tid).digest, ...next });
  }

  /** The server rejected the cache as too old: the client discards it and continues at the server's position. */
  #discard(): void {
    if (this.#applied === this.#history.length) return;
    this.#applied = this.#history.length;
    this.#discards++;
    this.#asked.length = 0;
    void this.#cache.discard(at(this.#history.at(-1)?.tid ?? tid(0)));
  }

  #begin(isComputing: boolean): void {
    const snapshot = this.#cache.position.tid;
    this.#cache.openSnapshot(snapshot);
    this.#pictures.push({ snapshot, ticket: isComputing ? this.#cache.beginLoad(snapshot) : undefined, discards: this.#discards });
  }

  #end(x: number): void {
    const [open] = this.#pictures.splice(x % Math.max(1, this.#pictures.length), 1);
    if (open === undefined) return;
    this.#cache.closeSnapshot(open.snapshot);
    if (open.ticket !== undefined) this.#cache.endLoad(open.ticket);
    for (const asked of this.#asked.splice(0)) if (asked.open !== open) this.#asked.push(asked);
  }

  #readKey(x: number, y: number): void {
    const [open, computation, key] = [pick(this.#pictures, x), pick(this.#computations, y), pick(keys, x + y)];
    if (open === undefined || computation === undefined || key === undefined) return;
    const revision = this.#cache.find(key, open.snapshot);
    const read = this.#cache.reads.key(key, this.#cache.position.tid);
    if (revision === undefined) {
      this.#asked.push({ open, key, read, computation, ticket: this.#cache.beginLoad(open.snapshot) });
      return;
    }
    this.#note(computation, open, read, revision.serial);
  }

  /** The server answers as of its last transaction. */
  #answer(x: number): void {
    const [asked] = this.#asked.splice(x % Math.max(1, this.#asked.length), 1);
    if (asked === undefined) return;
    const { open, key, ticket, read, computation } = asked;
    const asOf = this.#history.at(-1)?.tid ?? tid(0);
    const serial = this.#serial(key, open.snapshot);
    const next = this.#history.find((each) => each.tid > open.snapshot && each.keys.includes(key))?.tid;
    const revision = this.#cache.admit(ticket, key, { serial, value: encodeValue(serial), next }, at(asOf));
    this.#cache.endLoad(ticket);
    this.#note(computation, open, read, revision.serial);
  }

  #note(computation: Read[], open: OpenSnapshot, read: ObjectRead, serial: Tid): void {
    const { snapshot } = open;
    const isKnown = this.#isKnown(open);
    expect(serial).toBe(this.#serial(read.text, snapshot));
    const judged = this.#cache.foundAt(read, snapshot, serial);
    computation.push({
      kind: "key",
      text: read.text,
      said: this.#says("key", read.text, snapshot),
      read: judged,
      isKnown,
      discards: this.#discards,
    });
  }

  #list(x: number, y: number): void {
    const [open, computation, prefix] = [pick(this.#pictures, x), pick(this.#computations, y), pick(prefixes, x + y)];
    if (open === undefined || computation === undefined || prefix === undefined) return;
    const { snapshot, ticket } = open;
    const isKnown = this.#isKnown(open);
    const read = this.#cache.listedAt(this.#cache.reads.prefix(prefix, this.#cache.position.tid), snapshot, ticket);
    computation.push({
      kind: "prefix",
      text: prefix,
      said: this.#says("prefix", prefix, snapshot),
      read,
      isKnown,
      discards: this.#discards,
    });
  }

  #keep(x: number): void {
    const [computation] = this.#computations.splice(x % Math.max(1, this.#computations.length), 1);
    if (computation === undefined || computation.length === 0) return;
    const key = `k${this.#nextKey++ % 8}`;
    const began = this.#entries.begin();
    const reads = [...new Set(computation.map(({ read }) => read))];
    const entry = this.#entries.put(key, computation.length, { tags: [rootTag], reads, began });
    if (entry === undefined) {
      this.#kept.delete(key);
      this.found.notKept++;
      if (this.#isExact) expect(this.#isLost(computation)).toBe(true);
    } else this.#kept.set(key, [...computation]);
  }

  /**
   * Checks that each kept result is what a new read would give, and, where there is room, that no such result is
   * dropped without a reason.
   */
  #check(): void {
    for (const [key, reads] of this.#kept) {
      const isHit = this.#entries.get(key) !== undefined;
      const isValid = this.#isValid(reads);
      if (isHit) {
        this.found.hits++;
        expect(isValid).toBe(true);
        continue;
      }
      this.found.stale++;
      this.#kept.delete(key);
      if (this.#isExact) expect(this.#isLost(reads)).toBe(true);
    }
  }

  /** Whether there is a reason to drop this result. */
  #isLost(reads: readonly Read[]): boolean {
    return !this.#isValid(reads) || reads.some(({ isKnown, discards }) => !isKnown || discards < this.#discards);
  }

  #isValid(reads: readonly Read[]): boolean {
    return reads.every(({ kind, text, said }) => this.#says(kind, text, this.#cache.position.tid) === said);
  }

  /**
   * Whether the cache can know that this read is current: it was read as of the last transaction, or later ones are
   * remembered.
   */
  #isKnown({ snapshot, ticket, discards }: OpenSnapshot): boolean {
    return discards === this.#discards && (snapshot === this.#cache.position.tid || ticket !== undefined);
  }

  #serial(key: string, snapshot: Tid): Tid {
    return this.#history.findLast((each) => each.tid <= snapshot && each.keys.includes(key))?.tid ?? tid(0);
  }

  #says(kind: "key" | "prefix", text: string, snapshot: Tid): string {
    const read = kind === "key" ? [text] : keys.filter((key) => key.startsWith(text));
    return read.map((key) => `${key}@${this.#serial(key, snapshot)}`).join();
  }
}

function pick<T>(from: readonly T[], index: number): T | undefined {
  return from[index % Math.max(1, from.length)];
}

const steps = fc.array(fc.tuple(fc.nat(actions.length - 1), fc.nat(1_000), fc.nat(1_000)), { minLength: 60, maxLength: 200, size: "max" });

test("a hit equals a new read, after any commits, invalidations and discards: 3,000 runs against the whole history", async () => {
  const found = { hits: 0, stale: 0, notKept: 0 };
  const property = fc.asyncProperty(steps, fc.boolean(), async (list, isExact) => {
    const cache = await openCache({ open: undefined });
    if (!isExact) Object.defineProperty(cache, "reads", { value: new ObjectReads({ readsMax: 5, unusedMax: 2, prefixLengthsMax: 1 }) });
    const run = new Run(cache, isExact);
    for (const [what, x, y] of list) run.step(what, x, y);
    for (const name of ["hits", "stale", "notKept"] as const) found[name] += run.found[name];
  });
  await fc.assert(property, { numRuns: 3_000, seed: 20_261_122 });
  assert(found.hits > 15_000 && found.stale > 500 && found.notKept > 2_500, `each case occurred often enough: ${JSON.stringify(found)}`);
}, 120_000);
