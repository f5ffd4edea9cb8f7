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

/** A node of a cache with a bucket. */
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

/**
 * The broker of a bus, controlled by a test: it numbers publications when the test says so, and recalls numbered ones.
 */
export class ScriptedBroker {
  readonly ends = new Set<ScriptedEnd>();
  /** Sequence of the last invalidation by tag. */
  readonly latest = new Map<string, number>();
  /** Publications that have no sequence yet. */
  readonly waiting: { readonly tag: string; readonly id: string; readonly resolve: (version: BusVersion) => void }[] = [];
  /** Tags of each request to recall. */
  readonly recalls: (readonly string[])[] = [];
  /** Called between a request to recall and its answer. */
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

  /** Numbers the waiting publications. */
  number(): void {
    for (const { tag, id, resolve } of this.waiting.splice(0)) {
      this.invalidate(tag, id);
      resolve(this.version);
    }
  }

  /** An invalidation by another node, which reaches all nodes. */
  invalidate(tag: string, id = "another"): void {
    this.sequence++;
    this.latest.set(tag, this.sequence);
    for (const end of this.ends) end.emit({ type: "invalidated", tag, id, version: this.version });
  }

  /** Begins another history, which reaches all nodes. */
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
  /** The value for the default length of the history. */
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
    this.emit({ type: "reset", version: this.#broker.version });
    this.emit({ type: "following", version: this.#broker.version });
  }

  emit(event: BusEvent): void {
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

/** A cached function of a node, with a count of its computations. */
export function loader(cache: Cache, options: { readonly ttl?: string; readonly readExtendTtl?: boolean } = {}) {
  let computed = 0;
  const load = cache.cacheable(async (id: string) => `${id}${++computed}`, { name: "load", deps: (id) => [`a:${id}`], ...options });
  return { load, computed: () => computed };
}

/** A cached function whose computations end when the test says so. */
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

/** Lets writes in the background finish. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Two nodes on a broker whose last sequence is 100. */
export function scripted() {
  const world = bucketWorld();
  const broker = new ScriptedBroker(world.clock, 100);
  const open = () => {
    const bus = broker.connect();
    return { bus, ...world.open({ bus }) };
  };
  return { ...world, broker, open };
}
