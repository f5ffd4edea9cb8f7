import { expect, test } from "vitest";
import { openCacheOver } from "../../../../actors/cache/cache.js";
import { cacheSettings } from "../../../../actors/cache/options.js";
import { keyTag } from "../../../../storage/results/result-key.js";
import { createBucketHub, soundBucket } from "../../../../testing/bucket-hub.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import { type Random, ClosedError, delay, isBelow, rootTag, seededRandom, type Tag } from "../../../../core/index.js";
import { LateBroker, LateEnd } from "../bus/late-bus.js";

/** The tag of the last key contains only a hash of the key. */
const keys = ["k", "another", "/".repeat(100)];
const dataTag = "t:a" as Tag;

interface World {
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly broker: LateBroker;
  /** A rising number, of which all values are made. */
  data: number;
  /** By the id of an invalidation: smaller values under its tag are stale. */
  readonly least: Map<string, number>;
  readonly wrong: string[];
}

/** One node, and the values that it must no longer give. */
class Node {
  readonly #world: World;
  readonly #opened;
  readonly #end: LateEnd;
  /** By tag: smaller values are stale at this node. */
  readonly #floors = new Map<Tag, number>();
  /** Tag and number of the invalidation that is being published. */
  #asking: readonly [Tag, number] | undefined;
  readonly #load;
  readonly #outer;

  constructor(
    world: World,
    seed: number,
    { bucket, maxEntries }: { bucket: ReturnType<typeof createBucketHub> | undefined; maxEntries: number | undefined },
  ) {
    const { clock, least } = world;
    this.#world = world;
    this.#end = new LateEnd(world.broker);
    const settings = cacheSettings({ clock, random: seededRandom(seed), ttiFlushSecs: 0.02, maxEntries });
    this.#opened = openCacheOver(settings, { bus: this.#end, disk: undefined, bucket: bucket?.connect({ clock }) });
    this.#end.published = (tag, id) => {
      const [asked, number] = this.#asking ?? [];
      if (asked !== undefined && isBelow(asked, tag as Tag)) least.set(id, Math.max(least.get(id) ?? 0, number ?? 0));
    };
    this.#end.heard = (tag, id) => this.#raise(tag as Tag, least.get(id) ?? 0);
    const { cache } = this.#opened;
    this.#load = cache.cacheable((_key: string) => this.#read(), { name: "load", deps: [dataTag], ttl: "100ms" });
    this.#outer = cache.cacheable((key: string) => this.#readTwo(key), { name: "outer", deps: [], ttl: "60ms" });
  }

  async act(): Promise<void> {
    const { random, clock, wrong, broker } = this.#world;
    const { cache, core } = this.#opened;
    for (let turn = 0; turn < 25; turn++) {
      await delay(clock, random.fraction() * 30);
      const key = keys[Math.floor(random.fraction() * keys.length)] ?? "k";
      const [loaded, own] = [keyTag(this.#load.key(key)), core.keyOf(key).tag];
      const dice = random.fraction();
      if (dice < 0.2) await this.#check("load", loaded, () => this.#load(key));
      else if (dice < 0.35) await this.#check("getOrSet", own, () => cache.getOrSet(key, () => this.#read(), { tags: [dataTag] }));
      else if (dice < 0.5) await this.#check("get", own, () => cache.get<number>(key));
      else if (dice < 0.58) this.#invalidate(dataTag, () => cache.invalidate(dataTag));
      else if (dice < 0.62) this.#invalidate("t" as Tag, () => cache.invalidate("t"));
      else if (dice < 0.65) this.#invalidate(rootTag, () => cache.clear());
      else if (dice < 0.71) this.#invalidate(loaded, () => this.#load.invalidate(key));
      else if (dice < 0.77) this.#invalidate(own, () => cache.delete(key));
      else if (dice < 0.87) {
        const since = cache.now();
        untilClosed(cache.set(key, await this.#read(), { tags: [dataTag], since }));
      } else if (dice < 0.9) untilClosed(cache.set(key, this.#world.data, { tags: [dataTag] }));
      else if (dice < 0.92) await this.#check("refresh", loaded, () => this.#load.refresh(key));
      else if (dice < 0.94) await cache.prune(0);
      else if (dice < 0.95) broker.begin();
      else {
        const [leastLoaded, leastOwn] = [this.#least(loaded), this.#least(own)];
        const [first, second] = await this.#outer(key);
        if (first < leastLoaded || (second ?? Infinity) < leastOwn)
          wrong.push(`outer(${key}) gave ${first}, ${second} not ${leastLoaded}, ${leastOwn}`);
      }
    }
  }

  close(): Promise<void> {
    return this.#opened.cache.close();
  }

  async #read(): Promise<number> {
    const { random, clock, data } = this.#world;
    await delay(clock, random.fraction() * 40);
    return data;
  }

  async #readTwo(key: string): Promise<readonly [number, number | undefined]> {
    const { random, clock } = this.#world;
    const first = await this.#load(key);
    await delay(clock, random.fraction() * 20);
    return [first, await this.#opened.cache.get<number>(key)];
  }

  #raise(tag: Tag, number: number): void {
    this.#floors.set(tag, Math.max(this.#floors.get(tag) ?? 0, number));
  }

  /** The smallest value that a result may have whose key has the tag `own`. */
  #least(own: Tag): number {
    let least = 0;
    for (const [tag, number] of this.#floors) if (isBelow(own, tag) || isBelow(dataTag, tag)) least = Math.max(least, number);
    return least;
  }

  #invalidate(tag: Tag, ask: () => Promise<unknown>): void {
    const number = ++this.#world.data;
    this.#raise(tag, number);
    this.#asking = [tag, number];
    untilClosed(ask());
    this.#asking = undefined;
  }

  async #check(what: string, own: Tag, ask: () => Promise<number | undefined>): Promise<void> {
    const least = this.#least(own);
    const given = await ask();
    if (given !== undefined && given < least) this.#world.wrong.push(`${what} of ${own.slice(0, 30)} gave ${given}, not ${least}`);
  }
}

/** Ignores the rejection that a publication gets when its cache closes. */
function untilClosed(publication: Promise<unknown>): void {
  publication.catch((error: unknown) => {
    if (!(error instanceof ClosedError)) throw error;
  });
}

async function run(
  seed: number,
  { isShared, maxEntries }: { isShared: boolean; maxEntries: number | undefined },
): Promise<readonly string[]> {
  const clock = new SimulatedClock();
  const random = seededRandom(seed);
  const world: World = { clock, random, broker: new LateBroker(clock, random), data: 0, least: new Map(), wrong: [] };
  const faults = { ...soundBucket, delayMsMax: 15, lagMsMax: 30 };
  const bucket = isShared ? createBucketHub({ clock, random: seededRandom(seed + 1), faults }) : undefined;
  const nodes = [1, 2, 3].map((number) => new Node(world, seed * 10 + number, { bucket, maxEntries }));
  await clock.settle(Promise.all(nodes.flatMap((node) => [node.act(), node.act()])), 100_000);
  await clock.settle(Promise.all(nodes.map((node) => node.close())), 100_000);
  return world.wrong;
}

const ways = [
  { isShared: false, maxEntries: undefined },
  { isShared: true, maxEntries: undefined },
  { isShared: false, maxEntries: 2 },
  { isShared: true, maxEntries: 2 },
];

test.each(ways)("no call gets a value made before an invalidation of its key or its tags: %o", async (way) => {
  for (let seed = 1; seed <= 60; seed++) expect(await run(seed, way), `seed ${seed}`).toEqual([]);
});
