import fc from "fast-check";
import { expect, test } from "vitest";
import { type Began, type Dependency, type PendingTag, TagTrie } from "../../../storage/results/tag-trie.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { asTag, assert, isBelow, rootTag, type Tag } from "../../../core/index.js";

const named = ["a", "a:b", "a:b:c", "a:b:d", "a:c", "a.b", "a.b:c", "b", "b:a:b:c", "b:a", "ab", "b:a:b:d"].map(asTag);
const tags = [...named, named[0] as Tag, named[1] as Tag, rootTag];

interface Invalidation {
  readonly tag: Tag;
  /** Set if this process invalidates. */
  readonly pending: PendingTag | undefined;
  sequence: number | undefined;
  /** Step at which it began to pend. */
  readonly step: number;
}

interface Entry {
  readonly tags: readonly Tag[];
  readonly began: Began;
  readonly resets: number;
  /** Step at which it began; undefined for a result of another process. */
  readonly step: number | undefined;
  dependency: Dependency | undefined;
  /** Trie's version at which it was found valid. */
  validAt: number | undefined;
}

/** A trie next to a model of it, written to be simple: it searches everything that happened. */
class Run {
  readonly #clock = new SimulatedClock();
  readonly trie: TagTrie;
  readonly #isExact: boolean;
  readonly #nodesMax: number;
  /** A pending tag has a node even where there is no room. */
  #hasPended = false;
  #step = 0;
  #resets = 0;
  #resetAt = 0;
  /** Invalidations that the bus numbered in this epoch; those up to #applied have arrived here. */
  #bus: Invalidation[] = [];
  #last = 0;
  #applied = 0;
  #unnumbered: Invalidation[] = [];
  #unsettled: Invalidation[] = [];
  #known: { readonly tag: Tag; readonly sequence: number; readonly step: number }[] = [];
  #entries: Entry[] = [];
  readonly found = { stale: 0, valid: 0, early: 0 };

  constructor(sizes: { readonly nodesMax: number; readonly unusedMax: number } | undefined) {
    this.#isExact = sizes === undefined;
    // The named tags, the root, and one tag between.
    this.#nodesMax = sizes?.nodesMax ?? named.length + 2;
    this.trie = new TagTrie({ clock: this.#clock, ...(sizes ?? { unusedMax: Infinity }) });
  }

  async step(what: number, x: number, y: number): Promise<void> {
    this.#step++;
    const tag = tags[x % tags.length] as Tag;
    switch (what) {
      case 0:
        // Other processes invalidate; sequences have gaps where heartbeats are.
        this.#number({ tag, pending: undefined, sequence: undefined, step: this.#step }, y);
        break;
      case 1:
      case 2:
        this.#applyNext();
        break;
      case 3:
        if (this.#unnumbered.length > 0 && (y % 3 === 0 || this.#unnumbered.length + this.#unsettled.length > 4)) {
          const { pending } = this.#unnumbered[x % this.#unnumbered.length] as Invalidation;
          this.trie.pendAgain(pending as PendingTag);
          break;
        }
        if (this.#unnumbered.length + this.#unsettled.length > 4) break;
        this.#hasPended = true;
        this.#unnumbered.push({ tag, pending: this.trie.pend(tag), sequence: undefined, step: this.#step });
        break;
      case 4: {
        const [taken] = this.#unnumbered.splice(x % Math.max(1, this.#unnumbered.length), 1);
        if (taken === undefined) break;
        this.#number(taken, y);
        this.#unsettled.push(taken);
        break;
      }
      case 5: {
        const [settled] = this.#unsettled.splice(x % Math.max(1, this.#unsettled.length), 1);
        if (settled?.pending === undefined) break;
        if (x % 4 === 0) {
          // The acknowledgement belongs to an epoch that is not known here yet.
          this.#settleElsewhere(settled);
          break;
        }
        this.trie.settle(settled.pending, settled.sequence);
        // It counts from the time at which it began to pend.
        if (settled.sequence !== undefined) this.#know(settled.tag, settled.sequence, 0);
        break;
      }
      case 6: {
        const again = this.#known[x % Math.max(1, this.#known.length)];
        if (again !== undefined && again.sequence <= this.trie.sequence) this.trie.apply(again.tag, again.sequence);
        break;
      }
      case 7:
        if (this.#bus.length === 0) {
          this.#last += y % 3;
          this.#applied = this.#last;
          this.trie.advance(this.#last);
        }
        break;
      case 8:
      case 9:
      case 10:
        this.#begin([tag, tags[y % tags.length] as Tag].slice(x % 3 === 0 ? 1 : 0), (x + y) % 2 === 0);
        break;
      case 11: {
        const sequence = Math.max(0, this.trie.sequence - 2 + (y % 5));
        const began = this.trie.beganElsewhere(sequence);
        this.#enter({ tags: [tag], began, resets: this.#resets, step: undefined, dependency: this.trie.depend([tag]), validAt: undefined });
        break;
      }
      case 12:
      case 13: {
        const landing = this.#entries.find(({ dependency }) => dependency === undefined);
        if (landing !== undefined) landing.dependency = this.trie.depend(landing.tags);
        break;
      }
      case 14:
      case 15: {
        const [gone] = this.#entries.splice(x % Math.max(1, this.#entries.length), 1);
        if (gone?.dependency !== undefined) this.trie.release(gone.dependency);
        break;
      }
      case 16:
        await this.#clock.advance(1 + (y % 20));
        break;
      case 17:
        // The tags that it removes make no difference to any judgement.
        this.trie.forget(y % 20, x % 2 === 0 ? 1_000 : 0);
        break;
      case 18:
        if (!this.#isExact) this.trie.prune(y % 20, x % 2 === 0 ? 1_000 : 0);
        break;
      case 19:
        if (x % 3 === 0) this.#reset(x / 3, y);
        break;
    }
    this.#check();
  }

  /** Releases everything: only the root may stay. */
  async end(): Promise<void> {
    for (const { dependency } of this.#entries) if (dependency !== undefined) this.trie.release(dependency);
    for (const { pending } of [...this.#unnumbered, ...this.#unsettled]) if (pending !== undefined) this.trie.settle(pending, undefined);
    await this.#clock.advance(10);
    let steps = 0;
    while (!this.trie.prune(1, 0).done) steps++;
    expect(steps).toBeLessThan(100);
    expect(this.trie.stats()).toStrictEqual({ nodes: 1, pending: 0 });
    for (const { tag, sequence } of this.#known) expect(this.trie.tagVersion(tag)).toBeGreaterThanOrEqual(sequence);
  }

  #number(invalidation: Invalidation, y: number): void {
    this.#last += 1 + (y % 2);
    invalidation.sequence = this.#last;
    this.#bus.push(invalidation);
  }

  #applyNext(): void {
    const next = this.#bus.shift();
    if (next?.sequence === undefined) return;
    this.trie.apply(next.tag, next.sequence);
    this.#applied = next.sequence;
    this.#know(next.tag, next.sequence, this.#step);
  }

  #know(tag: Tag, sequence: number, step: number): void {
    this.#known.push({ tag, sequence, step });
  }

  /** Begins another epoch, which may count from anywhere, or skips a gap in the same one. */
  #reset(x: number, y: number): void {
    const isAnother = y % 2 === 0;
    const late: Invalidation[] = [];
    this.#resets++;
    if (isAnother) {
      this.#last = y % 4;
      // For invalidations numbered in the other epoch, some acknowledgements come before the reset and some after it;
      // the rest is sent again.
      for (const settled of this.#unsettled.splice(0, x % 2)) this.#settleElsewhere(settled);
      late.push(...this.#unsettled.splice(0, y % 3));
      for (const unsettled of this.#unsettled.splice(0)) this.#unnumbered.push(unsettled);
    }
    this.#bus = [];
    this.#known = [];
    this.#resetAt = this.#applied = this.#last;
    this.trie.reset(this.#last);
    for (const settled of late) this.#settleElsewhere(settled);
  }

  /** Nothing known so far is valid under the tag. */
  #settleElsewhere({ tag, pending }: Invalidation): void {
    if (pending === undefined) return;
    this.trie.settle(pending, undefined);
    const version = this.trie.tagVersion(tag);
    assert(version > this.trie.sequence, "the version is after everything known");
    for (const { began, resets } of this.#entries)
      assert(resets < this.#resets || began.sequence < version, "the version is after everything that began");
    this.#know(tag, version, 0);
  }

  #begin(depended: readonly Tag[], isKnownBefore: boolean): void {
    const dependency = isKnownBefore ? this.trie.depend(depended) : undefined;
    this.#enter({ tags: depended, began: this.trie.begin(), resets: this.#resets, step: this.#step, dependency, validAt: undefined });
  }

  #enter(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#entries.length <= 8) return;
    const dependency = this.#entries.shift()?.dependency;
    if (dependency !== undefined) this.trie.release(dependency);
  }

  // These run a million times: asserts are faster than expectations.
  #check(): void {
    const { nodes, pending } = this.trie.stats();
    assert(this.trie.sequence === this.#applied, "the sequence is the last applied one");
    assert(pending === this.#unnumbered.length + this.#unsettled.length, "every invalidation that is not settled is pending");
    assert(this.#hasPended || nodes <= this.#nodesMax, "there are at most nodesMax nodes");
    const [tag = rootTag] = tags;
    let version = this.#resetAt;
    for (const known of this.#known) if (isBelow(tag, known.tag)) version = Math.max(version, known.sequence);
    const found = this.trie.tagVersion(tag);
    assert(this.#isExact ? found === version : found >= version, `the version of ${tag} is ${version}, not ${found}`);
    for (const entry of this.#entries) if (entry.dependency !== undefined) this.#judge(entry, entry.dependency);
  }

  #judge(entry: Entry, dependency: Dependency): void {
    const isStale = this.trie.isStale(dependency, entry.began);
    const mustBe = this.#isStale(entry);
    this.found[isStale ? "stale" : "valid"]++;
    if (isStale !== mustBe) this.found.early++;
    assert(isStale || !mustBe, "a stale result is found stale");
    assert(isStale === mustBe || !this.#isExact, "a valid result is found valid");
    assert(
      !isStale || mustBe || this.#isStale({ ...entry, tags: named }),
      "a result is found stale too early only after some invalidation",
    );
    assert(!isStale || entry.validAt !== this.trie.version, "nothing becomes stale at the same version");
    entry.validAt = isStale ? undefined : this.trie.version;
  }

  #isStale({ tags: depended, began, resets, step }: Entry): boolean {
    const counts = (tag: Tag) => tag === rootTag || depended.some((each) => isBelow(each, tag));
    // An invalidation that arrived after it began counts, for any sequences.
    if (step !== undefined && this.#known.some((known) => known.step > step && counts(known.tag))) return true;
    if (resets < this.#resets || (step === undefined && began.sequence < this.#resetAt)) return true;
    if ([...this.#unnumbered, ...this.#unsettled].some(({ tag, pending }) => counts(tag) && (pending?.local ?? 0) > began.local))
      return true;
    return this.#known.some(({ tag, sequence }) => counts(tag) && sequence > began.sequence);
  }
}

const moves = fc.array(fc.tuple(fc.nat(19), fc.nat(59), fc.nat(59)), { maxLength: 80, size: "max" });

async function play(run: Run, steps: readonly (readonly [number, number, number])[]): Promise<Run["found"]> {
  for (const [what, x, y] of steps) await run.step(what, x, y);
  await run.end();
  return run.found;
}

test("a trie with room judges exactly as the list of all invalidations does, with settled, repeated and lost ones, and new epochs", async () => {
  const found = { stale: 0, valid: 0, early: 0 };
  await fc.assert(
    fc.asyncProperty(moves, async (steps) => {
      const one = await play(new Run(undefined), steps);
      found.stale += one.stale;
      found.valid += one.valid;
      found.early += one.early;
    }),
    { numRuns: 12_000 },
  );
  expect(found.early).toBe(0);
  expect(Math.min(found.stale, found.valid)).toBeGreaterThan(10_000);
});

test("a trie that prunes or has no room finds results stale too early, never too late, and changes its version", async () => {
  const found = { stale: 0, valid: 0, early: 0 };
  await fc.assert(
    fc.asyncProperty(fc.record({ nodesMax: fc.integer({ min: 1, max: 12 }), unusedMax: fc.nat(3) }), moves, async (sizes, steps) => {
      const one = await play(new Run(sizes), steps);
      found.stale += one.stale;
      found.valid += one.valid;
      found.early += one.early;
    }),
    { numRuns: 12_000 },
  );
  expect(Math.min(found.stale, found.valid, found.early)).toBeGreaterThan(1_000);
});
