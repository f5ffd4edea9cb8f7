import { onTestFinished } from "vitest";
import { openCacheOver } from "../../../../actors/cache/cache.js";
import type { Cache } from "../../../../actors/cache/interface.js";
import { type CacheOptions, cacheSettings } from "../../../../actors/cache/options.js";
import { type BucketEnd, type BucketHub, type BucketHubOptions, createBucketHub, soundBucket } from "../../../../testing/bucket-hub.js";
import { type NodeClock, SimulatedClock } from "../../../../testing/simulated-clock.js";
import { createInvalidationHub } from "../../../../transport/in-process-bus.js";
import type { BusEvent, BusState, BusVersion, Recalled, RecallingBus } from "../../../../transport/bus.js";
import { limits, seededRandom } from "../../../../core/index.js";
import { type Gate, gate } from "../open.js";

/** A node of a cache that shares its results. */
export interface BucketNode {
  readonly cache: Cache;
  readonly bucket: BucketEnd;
  readonly clock: NodeClock;
}

/** A broker in memory: a bus, and a bucket. */
export interface BucketWorld {
  readonly clock: SimulatedClock;
  readonly hub: BucketHub;
  /** A new node; its wall clock is `skewMs` ahead of the broker's. */
  readonly open: (options?: CacheOptions, skewMs?: number) => BucketNode;
}

export function bucketWorld(options: Pick<BucketHubOptions, "knowsTimesToLive"> = {}): BucketWorld {
  const clock = new SimulatedClock();
  const hub = createBucketHub({ clock, random: seededRandom(1), ...options });
  const buses = createInvalidationHub({ clock, random: seededRandom(2) });
  let nodes = 0;
  return {
    clock,
    hub,
    open: (options = {}, skewMs = 0) => {
      const nodeClock = clock.node(skewMs);
      const bucket = hub.connect({ clock: nodeClock });
      const settings = cacheSettings({ ...options, clock: nodeClock, random: seededRandom(10 + nodes++) });
      const { cache } = openCacheOver(settings, { bus: options.bus ?? buses.connect(), disk: undefined, bucket });
      onTestFinished(async () => {
        hub.faults = soundBucket;
        await clock.settle(cache.close(), 10_000);
      });
      return { cache, bucket, clock: nodeClock };
    },
  };
}

/** The broker of a bus, in the hands of a test: it numbers what is published when it is told to, and recalls what it numbered. */
export class ScriptedBroker {
  readonly ends = new Set<ScriptedEnd>();
  /** Sequence of the last invalidation by tag. */
  readonly latest = new Map<string, number>();
  /** What was published and has no number yet. */
  readonly waiting: { readonly tag: string; readonly id: string; readonly resolve: (version: BusVersion) => void }[] = [];
  /** What it was asked to recall. */
  readonly recalls: (readonly string[])[] = [];
  /** What happens between a question and its answer. */
  whileRecalling: () => void = () => undefined;
  readonly clock: SimulatedClock;
  epoch = "e";
  sequence: number;
  isPrompt = true;

  constructor(clock: SimulatedClock, sequence: number) {
    this.clock = clock;
    this.sequence = sequence;
  }

  connect(): ScriptedEnd {
    return new ScriptedEnd(this);
  }

  get version() {
    return { epoch: this.epoch, sequence: this.sequence, time: this.clock.now() };
  }

  /** Numbers what waits. */
  number(): void {
    for (const { tag, id, resolve } of this.waiting.splice(0)) {
      this.invalidate(tag, id);
      resolve(this.version);
    }
  }

  /** An invalidation of somebody, of which all nodes hear. */
  invalidate(tag: string, id = "somebody"): void {
    this.sequence++;
    this.latest.set(tag, this.sequence);
    for (const end of this.ends) end.tell({ type: "invalidated", tag, id, version: this.version });
  }

  /** Another history, of which all nodes hear. */
  begin(epoch: string): void {
    this.epoch = epoch;
    this.sequence = 1;
    this.latest.clear();
    for (const end of this.ends) end.start();
  }
}

/** One node's end of a scripted broker. */
export class ScriptedEnd implements RecallingBus {
  readonly kind = "jetstream";
  /** As of the default history. */
  readonly recallAgeMsMax = limits.busHistoryMs - 60_000;
  readonly #broker: ScriptedBroker;
  #listener: (event: BusEvent) => void = () => undefined;
  isCut = false;

  constructor(broker: ScriptedBroker) {
    this.#broker = broker;
  }

  get state(): BusState {
    if (this.isCut || !this.#broker.ends.has(this)) return { type: "cut" };
    return { type: "following", epoch: this.#broker.epoch, sequence: this.#broker.sequence };
  }

  get heardAt(): number {
    return this.#broker.clock.monotonic();
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    return new Promise((resolve) => {
      this.#broker.waiting.push({ tag, id, resolve });
      if (this.#broker.isPrompt) this.#broker.number();
    });
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listener = listener;
  }

  follow(): Promise<void> {
    this.start();
    return Promise.resolve();
  }

  start(): void {
    this.#broker.ends.add(this);
    this.tell({ type: "reset", version: this.#broker.version });
    this.tell({ type: "following", version: this.#broker.version });
  }

  tell(event: BusEvent): void {
    if (!this.isCut) this.#listener(event);
  }

  recall(tags: readonly string[]): Promise<Recalled> {
    this.#broker.recalls.push(tags);
    const recalled = { sequences: tags.map((tag) => this.#broker.latest.get(tag) ?? 0), reached: this.#broker.sequence };
    this.#broker.whileRecalling();
    return Promise.resolve(recalled);
  }

  close(): Promise<void> {
    this.#broker.ends.delete(this);
    return Promise.resolve();
  }
}

/** A function of a node that counts its computations, and what it gives. */
export function loader(cache: Cache, options: { readonly ttl?: string; readonly readExtendTtl?: boolean } = {}) {
  let computed = 0;
  const load = cache.cacheable(async (id: string) => `${id}${++computed}`, { name: "load", deps: (id) => [`a:${id}`], ...options });
  return { load, computed: () => computed };
}

/** The same, whose computations end when the test says so. */
export function slowLoader(cache: Cache) {
  const gates: Gate<string>[] = [];
  const load = cache.cacheable(
    (): Promise<string> => {
      const slow = gate<string>();
      gates.push(slow);
      return slow.promise;
    },
    { name: "slow", deps: ["a:b"] },
  );
  return { load, gates };
}

/** Lets what was written behind arrive. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Two nodes on a broker that stands at 100. */
export function scripted() {
  const world = bucketWorld();
  const broker = new ScriptedBroker(world.clock, 100);
  const open = () => {
    const bus = broker.connect();
    return { bus, ...world.open({ bus }) };
  };
  return { ...world, broker, open };
}
