import { setTimeout as pause } from "node:timers/promises";
import type { Publication } from "../../../cache.js";
import { type Random, seededRandom } from "../../../core/index.js";
import { type Tier, tiers } from "../matrix/cell.js";
import { Database } from "../matrix/database.js";
import { Member } from "../matrix/member.js";
import { cacheOptionsOf } from "../matrix/cache-options.js";
import type { CallAnswer } from "../matrix/protocol.js";
import { settle } from "../matrix/settle.js";
import { jetStreamConfig } from "../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { RowTruth } from "./truth.js";

export interface SoakOptions {
  readonly kills: number;
  /** Seed of the invalidations and of the moments when the broker dies. Timing on the machine decides the rest. */
  readonly seed: number;
  readonly tiers?: readonly Tier[];
  /** Called after each kill. */
  readonly progress?: (report: SoakReport) => void;
}

/** Results of a soak. */
export interface SoakReport {
  readonly kills: number;
  readonly invalidations: number;
  /** Number of calls of `invalidate` that resolved to `published`, and to `queued`. */
  readonly published: number;
  readonly queued: number;
  readonly calls: number;
  /** Calls that were answered by a kept result. */
  readonly hits: number;
  /**
   * From the call of `invalidate` at one node to the last call at another that returned the replaced version, while the
   * broker ran ...
   */
  readonly staleMsMax: number;
  /** ... and from the broker's death until all nodes followed again. */
  readonly staleWhileCutMsMax: number;
  readonly callMsMax: number;
  /** From the restart of the broker until all nodes knew all invalidations. */
  readonly settledMsMax: number;
  /** Growth of each node's heap, after garbage collection, from the first kill to the last. */
  readonly heapGrowthBytes: readonly number[];
  /** Forbidden answers, and calls that failed. */
  readonly wrongs: readonly string[];
}

const names = ["A", "B", "C"];
/** Many, so that a later invalidation of the same row rarely hides a missed one. */
const regions = 12;
const citiesEach = 10;
/** Pause between two invalidations, and between two calls of one cache at one node. */
const writePauseMs = 4;
const readPauseMs = 4;
const publishTimeoutMs = 1_000;
const maxStaleSecs = 2;
/** Maximum number of pending invalidations, which wait while the broker is away. */
const invalidatingMax = 1_000;
const wrongsMax = 20;
/** Duration of the load before the broker dies, and while it is dead: minimum, and maximum addition. */
const aliveMs = [60, 240] as const;
const deadMs = [20, 600] as const;

/**
 * Three nodes invalidate and call the same functions without a pause, while the broker is killed again and again and
 * restarted on its data. No node may serve a version that it has itself invalidated before. Once all nodes follow the
 * bus again, none may serve a version that any node has invalidated.
 */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const broker = await startNatsServer({ config: jetStreamConfig() });
  try {
    const database = new Database();
    const members = await Member.startAll(names, broker, database);
    try {
      return await new Soak(options, broker, database, members).run();
    } finally {
      await Promise.all(members.map((member) => member.close()));
    }
  } finally {
    await broker.stop();
  }
}

class Soak {
  readonly #options: SoakOptions;
  readonly #broker: NatsServer;
  readonly #database: Database;
  readonly #members: readonly Member[];
  readonly #cells: readonly string[];
  readonly #tiers: readonly Tier[];
  readonly #random: Random;
  readonly #truths = new Map<string, RowTruth>();
  readonly #invalidating = new Set<Promise<void>>();
  /** When the broker died in this round; Infinity before that. */
  #diedAt = Infinity;
  #isLoaded = false;
  #heapBytes: readonly number[] = [];
  #report: SoakReport = {
    kills: 0,
    invalidations: 0,
    published: 0,
    queued: 0,
    calls: 0,
    hits: 0,
    staleMsMax: 0,
    staleWhileCutMsMax: 0,
    callMsMax: 0,
    settledMsMax: 0,
    heapGrowthBytes: [],
    wrongs: [],
  };

  constructor(options: SoakOptions, broker: NatsServer, database: Database, members: readonly Member[]) {
    this.#options = options;
    this.#broker = broker;
    this.#database = database;
    this.#members = members;
    this.#tiers = options.tiers ?? tiers;
    this.#cells = this.#tiers.map((tier) => tier.replaceAll(/\W+/g, "-"));
    this.#random = seededRandom(options.seed);
  }

  async run(): Promise<SoakReport> {
    await this.#open();
    for (let kill = 1; kill <= this.#options.kills && this.#report.wrongs.length < wrongsMax; kill++) {
      await this.#killOnce();
      this.#report = { ...this.#report, kills: kill };
      await this.#measureHeap();
      this.#options.progress?.(this.#report);
    }
    return this.#report;
  }

  async #open(): Promise<void> {
    for (const [index, cell] of this.#cells.entries()) {
      const tier = this.#tiers[index] ?? "memory";
      await Promise.all(
        this.#members.map((member) =>
          member.open({
            cell,
            options: { prefix: cell, maxStaleSecs, publishTimeout: publishTimeoutMs / 1_000, ...cacheOptionsOf(tier, cell, member) },
            wallClockBehindMs: 0,
          }),
        ),
      );
      await settle(this.#members, cell);
    }
  }

  async #killOnce(): Promise<void> {
    this.#isLoaded = true;
    const load = [this.#write(), ...this.#members.flatMap((member) => this.#cells.map((cell) => this.#read(member, cell)))];
    await pause(this.#between(aliveMs));
    this.#diedAt = performance.now();
    await this.#broker.kill();
    await pause(this.#between(deadMs));
    await this.#broker.restart();
    const restartedAt = performance.now();
    // The load goes on until all nodes follow again.
    await Promise.all(this.#cells.map((cell) => this.#whenAllFollow(cell)));
    this.#isLoaded = false;
    await Promise.all(load);
    await Promise.all(this.#invalidating);
    await Promise.all(this.#cells.map((cell) => settle(this.#members, cell)));
    this.#note({ settledMsMax: performance.now() - restartedAt });
    this.#diedAt = Infinity;
    for (const truth of this.#truths.values()) truth.settled();
    await Promise.all(
      this.#members.map(async (member) => {
        if (member.process.ended !== undefined) this.#wrong(`${member.name} ${member.process.ended}`);
        for (const cell of this.#cells) for (const entry of entries) await this.#call(member, cell, entry);
      }),
    );
  }

  async #whenAllFollow(cell: string): Promise<void> {
    for (;;) {
      const stats = await Promise.all(this.#members.map(({ process }) => process.stats(cell)));
      if (stats.every(({ bus }) => bus?.type === "following")) return;
      await pause(readPauseMs);
    }
  }

  async #write(): Promise<void> {
    while (this.#isLoaded) {
      const member = this.#pick(this.#members);
      const cell = this.#pick(this.#cells);
      if (this.#invalidating.size < invalidatingMax) {
        const invalidating: Promise<void> = this.#invalidate(member, cell).finally(() => this.#invalidating.delete(invalidating));
        this.#invalidating.add(invalidating);
      }
      await pause(writePauseMs);
    }
  }

  async #read(member: Member, cell: string): Promise<void> {
    while (this.#isLoaded) {
      await this.#call(member, cell, this.#pick(entries));
      await pause(readPauseMs);
    }
  }

  /** Invalidates one row by its key or its tag, or the rows of a region by their parent tag. */
  async #invalidate(member: Member, cell: string): Promise<void> {
    const dice = this.#random.fraction();
    const entry = this.#pick(entries);
    const region = entry.slice(0, entry.indexOf(":"));
    const written = dice < 0.02 ? entriesOf(region) : [entry];
    const at = performance.now();
    for (const each of written) {
      const row = `${cell} ${each}`;
      this.#truthOf(row).invalidated(member.name, this.#database.write(row), at);
    }
    const { process } = member;
    try {
      const publication = await process.ask<Publication>(
        written.length > 1
          ? { type: "invalidateTag", cell, tag: region }
          : dice < 0.5
            ? { type: "invalidateKey", cell, entry }
            : { type: "invalidateTag", cell, tag: entry },
      );
      this.#count("invalidations", publication);
    } catch (error) {
      this.#wrong(`an invalidation failed: ${String(error)}`);
    }
  }

  async #call(member: Member, cell: string, entry: string): Promise<void> {
    const row = `${cell} ${entry}`;
    const truth = this.#truthOf(row);
    const floor = truth.floorAt(member.name);
    const at = performance.now();
    const reads = this.#database.reads(member.name, row);
    let version: number;
    try {
      ({ version } = await member.process.ask<CallAnswer>({ type: "call", cell, entry }));
    } catch (error) {
      this.#wrong(`a call failed: ${String(error)}`);
      return;
    }
    const isHit = this.#database.reads(member.name, row) === reads;
    this.#count("calls", ...(isHit ? (["hits"] as const) : []));
    this.#note({ callMsMax: performance.now() - at });
    if (version < floor) this.#wrong(`${cell}: ${member.name} gave version ${version} of ${entry}, though it knew of ${floor}`);
    const replacedAt = truth.replacedAt(version);
    if (replacedAt === undefined || replacedAt > at) return;
    this.#note({ [at < this.#diedAt ? "staleMsMax" : "staleWhileCutMsMax"]: at - replacedAt });
  }

  async #measureHeap(): Promise<void> {
    const heapBytes = await Promise.all(this.#members.map(({ process }) => process.ask<number>({ type: "memory" })));
    if (this.#heapBytes.length === 0) this.#heapBytes = heapBytes;
    this.#report = { ...this.#report, heapGrowthBytes: heapBytes.map((bytes, index) => bytes - (this.#heapBytes[index] ?? 0)) };
  }

  #truthOf(row: string): RowTruth {
    const known = this.#truths.get(row) ?? new RowTruth();
    this.#truths.set(row, known);
    return known;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random.fraction() * from.length)] as T;
  }

  #between([from, more]: readonly [number, number]): number {
    return from + this.#random.fraction() * more;
  }

  #count(...which: readonly ("invalidations" | "calls" | "hits" | Publication)[]): void {
    for (const name of which) this.#report = { ...this.#report, [name]: this.#report[name] + 1 };
  }

  #note(longest: Partial<Record<"staleMsMax" | "staleWhileCutMsMax" | "callMsMax" | "settledMsMax", number>>): void {
    for (const name of ["staleMsMax", "staleWhileCutMsMax", "callMsMax", "settledMsMax"] as const) {
      this.#report = { ...this.#report, [name]: Math.max(this.#report[name], longest[name] ?? 0) };
    }
  }

  #wrong(what: string): void {
    if (this.#report.wrongs.length < wrongsMax) this.#report = { ...this.#report, wrongs: [...this.#report.wrongs, what] };
  }
}

const entriesOf = (region: string): readonly string[] => Array.from({ length: citiesEach }, (_, city) => `${region}:${city}`);
const entries = Array.from({ length: regions }, (_, region) => entriesOf(`region${region}`)).flat();
