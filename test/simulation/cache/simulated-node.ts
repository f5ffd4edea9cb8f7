import { openCacheOver } from "../../../actors/cache/cache.js";
import type { Cache } from "../../../actors/cache/interface.js";
import type { CacheCore } from "../../../actors/cache/core.js";
import { cacheSettings } from "../../../actors/cache/options.js";
import { DiskEntryStore } from "../../../storage/results/disk-entries.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import type { Bus, BusVersion } from "../../../transport/index.js";
import { delay } from "../../../core/index.js";
import { createdOf, type Made, type NodeLife, type StreamPosition } from "./cache-checker.js";
import { type CacheWorld, prefix, timings } from "./cache-world.js";
import { CachedFunctions } from "./functions.js";
import { tapped, tappedRandom } from "./tapped.js";
import { User } from "./user.js";

export interface NodeTraits {
  /** Tier behind memory: none; a disk of its own, which also keeps invalidations; or the bucket. */
  readonly tier: "memory" | "disk" | "bucket";
  readonly maxEntries: number | undefined;
  readonly users: number;
  /** Lead of its wall clock over the others, in ms. */
  readonly skewMs: number;
  /** Speed of its clock: 1 is real time. */
  readonly rate: number;
}

/** The parts of one life of a node that run. */
export interface RunningNode {
  readonly life: NodeLife;
  readonly clock: NodeClock;
  readonly end: NetworkEnd;
  readonly bus: Bus;
  readonly cache: Cache;
  readonly core: CacheCore;
  readonly functions: CachedFunctions;
}

/** A node: a process with a cache and its users, perhaps with a disk that outlives it. */
export class SimulatedNode {
  readonly name: string;
  readonly #world: CacheWorld;
  readonly #faults: NodeTraits;
  readonly #disk: SimulatedDisk | undefined;
  /** By tag: the moment of an invalidation. A life promised that its disk gives no older result under the tag. */
  readonly #kept = new Map<string, number>();
  /** All positions that the buses of its lives reported. */
  readonly #positions: (BusVersion & StreamPosition)[] = [];
  #clock: NodeClock | undefined;
  #end: NetworkEnd | undefined;
  #life: NodeLife | undefined;
  #running: RunningNode | undefined;
  #lives = 0;
  /** Failures of the disk before this life. */
  #failuresBefore = 0;

  constructor(world: CacheWorld, name: string, faults: NodeTraits) {
    this.name = name;
    this.#world = world;
    this.#faults = faults;
    if (faults.tier === "disk") this.#disk = new SimulatedDisk({ name: `${name}-disk`, clock: world.clock, random: world.random() });
  }

  /** Whether it uses results of other nodes. */
  get sharesResults(): boolean {
    return this.#faults.tier === "bucket";
  }

  get disk(): SimulatedDisk | undefined {
    return this.#disk;
  }

  /** Whether there is a disk, and no write of this life has failed. */
  get isKeeping(): boolean {
    return this.#disk?.failures === this.#failuresBefore;
  }

  get end(): NetworkEnd | undefined {
    return this.#end;
  }

  get clock(): NodeClock | undefined {
    return this.#clock;
  }

  get life(): NodeLife | undefined {
    return this.#life;
  }

  /** Undefined while the process is down, starts or stops. */
  get running(): RunningNode | undefined {
    return this.#running;
  }

  open(): void {
    if (this.#life !== undefined) return;
    const world = this.#world;
    const life = world.checker.born(this.name, ++this.#lives, this.#kept, this.sharesResults);
    const clock = world.clock.node(this.#faults.skewMs, this.#faults.rate);
    world.note(this.name, `open ${life.number}`);
    this.#life = life;
    this.#clock = clock;
    this.#end = world.network.connect(this.name, { clock, log: world.log(this.name), awake: clock.awake });
    this.#start(life, clock, this.#end).catch((error: unknown) => {
      if (this.#life !== life) return;
      world.note(this.name, `failed: ${String(error)}`);
      world.unlessExpected(this.name, error);
      void this.#openAgain();
    });
  }

  /** Ends the process as kill -9 does. Resolves when its disk is checked; from then on it can be opened again. */
  async kill(): Promise<void> {
    if (this.#life === undefined) return;
    this.#world.note(this.name, "killed");
    this.#world.checker.counts.kills++;
    this.#end?.kill();
    this.#disk?.crash();
    this.#leave();
    await this.checkDisk();
  }

  /** Ends the process in an orderly way. Resolves when it can be opened again, or was killed meanwhile. */
  async close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return this.kill();
    this.#world.note(this.name, "closes");
    this.#running = undefined;
    await running.cache.close();
    await running.end.close();
    if (this.#life !== running.life) return;
    this.#world.note(this.name, "closed");
    this.#leave();
  }

  /** The disk, if there is one, gives no result under `tag` from before `moment`, in the next life either. */
  keep(tag: string, moment: number): void {
    if (this.#disk === undefined) return;
    this.#kept.set(tag, Math.max(moment, this.#kept.get(tag) ?? 0));
  }

  /** Checks that each entry which the disk gives as valid is valid at the disk's position. */
  async checkDisk(): Promise<void> {
    if (this.#disk === undefined) return;
    const { checker } = this.#world;
    const store = await this.#openDisk(this.#disk.copy(), this.#world.clock.node());
    const floors = this.#floorsAt(store.position);
    for (const [tag, moment] of this.#kept) floors.set(tag, Math.max(moment, floors.get(tag) ?? 0));
    for (const key of [...store.keys()]) {
      const entry = store.get(key);
      if (entry !== undefined) checker.found(`${this.name}'s disk`, key, entry.value as Made, floors);
    }
  }

  /** The floors for results on the disk, whose position is `position`. */
  #floorsAt(position: BusVersion | undefined): Map<string, number> {
    if (position === undefined) return new Map();
    const { epoch, sequence } = position;
    const stood = this.#positions.findIndex((each) => each.epoch === epoch && each.sequence >= sequence);
    const created = createdOf(epoch);
    const reported = this.#positions.slice(0, stood + 1).filter((each) => createdOf(each.epoch) === created);
    return this.#world.checker.floorsAt(sequence, reported);
  }

  async #start(life: NodeLife, clock: NodeClock, end: NetworkEnd): Promise<void> {
    const world = this.#world;
    const { checker } = world;
    const log = world.log(this.name);
    const random = tappedRandom(world.random(), (id) => checker.drawn(life, id, this.#running?.life !== life));
    const userRandoms = Array.from({ length: this.#faults.users }, () => world.random());
    const functionRandom = world.random();
    this.#failuresBefore = this.#disk?.failures ?? 0;
    const disk = this.#disk === undefined ? undefined : await this.#openDisk(this.#disk, clock, life);
    if (this.#life !== life) return;
    const bus = tapped(world.openBus({ life, end, clock, random, log }), (event) => {
      world.note(this.name, `bus reported ${event.type} ${event.type === "cut" ? "" : event.version.sequence}`);
      if (this.#life !== life) return;
      const reported = checker.reported(life, event);
      if (event.type !== "cut" && reported !== undefined) this.#positions.push({ ...reported, epoch: event.version.epoch });
    });
    const settings = cacheSettings({
      bus,
      prefix,
      clock,
      random,
      log,
      maxEntries: this.#faults.maxEntries,
      maxStaleSecs: `${world.maxStaleMs}ms`,
      publishTimeout: `${timings.publishTimeoutMs}ms`,
      flightTimeout: `${timings.flightTimeoutMs}ms`,
      autoPruneSecs: `${timings.autoPruneMs}ms`,
      autoPruneInterval: `${world.autoPruneIntervalMs}ms`,
    });
    const { cache, core } = openCacheOver(settings, {
      bus,
      disk,
      bucket: this.sharesResults ? world.connectBucket(clock, end) : undefined,
    });
    const functions = new CachedFunctions({
      cache,
      clock,
      random: functionRandom,
      checker,
      contexts: world.contexts,
      database: world.database,
    });
    const running = { life, clock, end, bus, cache, core, functions };
    this.#running = running;
    for (const own of userRandoms) void new User(world, this, running, own).run();
  }

  /** Without a `life`: for an observer. */
  #openDisk(disk: SimulatedDisk, clock: NodeClock, life?: NodeLife): Promise<DiskEntryStore> {
    return DiskEntryStore.open({
      name: prefix,
      countedBy: this.#world.countedBy,
      open: disk.open,
      remove: async () => {
        await disk.erase();
        if (life === undefined || this.#life !== life) return;
        this.#world.checker.erased(life);
      },
      clock,
      log: this.#world.log(`${this.name}'s disk`),
      entriesMax: this.#faults.maxEntries,
    });
  }

  async #openAgain(): Promise<void> {
    await this.kill();
    await delay(this.#world.clock, 100);
    this.open();
  }

  /** The run is over: releases everything of the process. */
  abandon(): void {
    this.#leave();
  }

  #leave(): void {
    this.#clock?.stop();
    this.#running?.core.calls.close();
    if (this.#life !== undefined) this.#world.checker.died(this.#life);
    this.#life = undefined;
    this.#clock = undefined;
    this.#end = undefined;
    this.#running = undefined;
  }
}
