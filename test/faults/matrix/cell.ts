import { setTimeout as pause } from "node:timers/promises";
import type { Publication } from "../../../cache.js";
import type { Database } from "./database.js";
import type { Member } from "./member.js";
import type { CallAnswer } from "./protocol.js";
import { describeState, pollMs, settle, settleMsMax } from "./settle.js";

/** Storages of results: the columns of the matrix. */
export const tiers = ["memory", "memory + LMDB", "memory + bucket"] as const;
export type Tier = (typeof tiers)[number];

/** Ways to invalidate a result: the sub-columns of each tier. */
export const ways = ["key", "tag", "parent"] as const;
export type Way = (typeof ways)[number];

/** Allowance for delivery to a node and for the test's own work on a busy machine. */
const slackMs = 500;
/** An invalidation that is queued in a folder is first written to the disk, which other processes use as well. */
const writeMsMax = 2_500;
const wrongsMax = 5;

export interface CellOptions {
  readonly tier: Tier;
  readonly way: Way;
  readonly database: Database;
  readonly maxStaleMs: number;
  readonly publishTimeoutMs: number;
}

/** Measurements of a cell. */
export interface CellFigures {
  /** Longest call. */
  readonly callMsMax: number;
  /** Longest time from the call of `invalidate` at one node until another node last served the replaced version. */
  readonly staleMsMax: number;
  /** Longest time from the end of a fault until all nodes had received what they missed. */
  readonly settledMsMax: number;
}

/** The lowest version that may still be served, for `reason`. */
interface Floor {
  readonly version: number;
  readonly reason: string;
}

/**
 * One cache at all nodes of a stage, and the judge of its answers. It is right when
 *
 * 1. the node that invalidated never again serves the replaced version, from the call on;
 * 2. every other node never again serves it once it follows the bus up to that invalidation;
 * 3. a node that is cut off serves what it kept for at most `maxStaleMs`, and only current versions after that;
 * 4. every call and every invalidation ends, in bounded time and without an error;
 * 5. all nodes follow again once the fault is over, keep results again, and receive the next invalidation.
 */
export class Cell {
  readonly name: string;
  readonly tier: Tier;
  readonly way: Way;
  readonly wrongs: string[] = [];
  readonly #options: CellOptions;
  readonly #floors = new Map<string, Floor>();
  #entry = "cities:DE";
  #invalidated: (Floor & { readonly at: number }) | undefined;
  #figures: CellFigures = { callMsMax: 0, staleMsMax: 0, settledMsMax: 0 };

  constructor(options: CellOptions) {
    this.tier = options.tier;
    this.way = options.way;
    this.name = `${options.tier.replaceAll(/\W+/g, "-")}-${options.way}`;
    this.#options = options;
  }

  get figures(): CellFigures {
    return this.#figures;
  }

  get row(): string {
    return this.rowOf(this.#entry);
  }

  /** The database row that the result of `entry` is computed from. */
  rowOf(entry: string): string {
    return `${this.name} ${entry}`;
  }

  /** From now on calls and invalidations use `entry`. */
  use(entry: string): void {
    this.#entry = entry;
    this.#floors.clear();
    this.#invalidated = undefined;
  }

  wrong(what: string): void {
    if (this.wrongs.length < wrongsMax) this.wrongs.push(what);
  }

  /** From now on these nodes must serve only versions from the present one on. */
  demandTruth(members: readonly Member[], reason: string): void {
    for (const { name } of members) this.#floors.set(name, { version: this.#options.database.version(this.row), reason });
  }

  write(): number {
    return this.#options.database.write(this.row);
  }

  /** Calls the cached function at a node, and judges the answer. Undefined when the call failed. */
  async call(member: Member): Promise<number | undefined> {
    const at = performance.now();
    const floor = this.#floors.get(member.name);
    const cutFloor = this.#cutFloorAt(member, at);
    const { mayReturn } = member;
    const invalidated = this.#invalidated;
    let answer: CallAnswer;
    try {
      answer = await member.process.ask<CallAnswer>({ type: "call", cell: this.name, entry: this.#entry });
    } catch (error) {
      this.wrong(`a call failed: ${messageOf(error)}`);
      return undefined;
    }
    const { version, isFollowing } = answer;
    this.#note({ callMsMax: performance.now() - at });
    if (invalidated !== undefined && version < invalidated.version) this.#note({ staleMsMax: at - invalidated.at });
    // A node that has returned cannot know invalidations of another node that is still cut off.
    const isBack = mayReturn && isFollowing;
    for (const least of [floor, isBack ? undefined : cutFloor]) {
      if (least !== undefined && version < least.version) {
        this.wrong(`${member.name} gave version ${version}, not ${least.version}, ${least.reason}`);
      }
    }
    return version;
  }

  /** Waits until each of `members` answers a call from its kept results. */
  async keepAt(...members: readonly Member[]): Promise<void> {
    await Promise.all(members.map(async (member) => this.#keepAt(member)));
  }

  /** Waits until `to` finds a result that `from` computed and that `to` never computed. */
  async shareAt(from: Member, to: Member): Promise<void> {
    const { database } = this.#options;
    const at = performance.now();
    const entry = this.#entry;
    for (let attempt = 0; performance.now() - at < settleMsMax; attempt++) {
      this.use(`shared:${attempt}`);
      await this.call(from);
      await this.call(to);
      const isShared = database.reads(to.name, this.row) === 0;
      this.use(entry);
      if (isShared) return;
      await pause(pollMs);
    }
    this.wrong(`${to.name} finds nothing that ${from.name} kept`);
  }

  /** Whether a call at a node is answered from its kept results. */
  async isKeptAt(member: Member): Promise<boolean> {
    const before = this.#options.database.reads(member.name, this.row);
    await this.call(member);
    return this.#options.database.reads(member.name, this.row) === before;
  }

  /** Writes a new version, and invalidates the old one at `member` in the way of this cell. */
  async invalidateAt(member: Member, expected?: Publication): Promise<void> {
    const version = this.write();
    const { name: cell } = this;
    const entry = this.#entry;
    const at = performance.now();
    this.#invalidated = { version, at, reason: "" };
    this.#floors.set(member.name, { version, reason: "which it had itself invalidated before" });
    try {
      const publication = await member.process.ask<Publication>(
        this.way === "key"
          ? { type: "invalidateKey", cell, entry }
          : { type: "invalidateTag", cell, tag: this.way === "tag" ? entry : parentOf(entry) },
      );
      const tookMs = performance.now() - at;
      if (tookMs > this.#options.publishTimeoutMs + writeMsMax) this.wrong(`invalidate took ${tookMs.toFixed(0)} ms`);
      if (expected !== undefined && publication !== expected) this.wrong(`invalidate resolved to ${publication}, not to ${expected}`);
    } catch (error) {
      this.wrong(`an invalidation failed: ${messageOf(error)}`);
    }
  }

  /**
   * Waits until every node follows the bus up to the invalidations of all nodes. From then on no invalidated version
   * may be served.
   */
  async settle(members: readonly Member[]): Promise<void> {
    try {
      this.#note({ settledMsMax: await settle(members, this.name) });
      this.#settled(members);
    } catch (error) {
      this.wrong(messageOf(error));
    }
  }

  /** The latest log lines of all nodes, to find the cause of a wrong answer. */
  async story(members: readonly Member[]): Promise<string> {
    const logs = await Promise.all(
      members.map(async ({ name, process }) => {
        const lines = await process.ask<readonly string[]>({ type: "log", cell: this.name }).catch((error: unknown) => [String(error)]);
        return lines.map((line) => `    ${name}: ${line}`);
      }),
    );
    return logs.flat().join("\n");
  }

  #settled(members: readonly Member[]): void {
    const invalidated = this.#invalidated;
    for (const { name } of members) {
      if (invalidated === undefined || (this.#floors.get(name)?.version ?? 0) >= invalidated.version) continue;
      this.#floors.set(name, { version: invalidated.version, reason: "though it follows the bus since that was invalidated elsewhere" });
    }
  }

  /**
   * The lowest version that a node may serve once it has been cut off for longer than `maxStaleMs`: the current one.
   */
  #cutFloorAt(member: Member, at: number): Floor | undefined {
    const { maxStaleMs, database } = this.#options;
    const cutMs = member.isolatedAt === undefined ? 0 : at - member.isolatedAt;
    if (cutMs <= maxStaleMs + slackMs) return undefined;
    return { version: database.version(this.row), reason: `cut off for ${cutMs.toFixed(0)} ms` };
  }

  async #keepAt(member: Member): Promise<void> {
    const at = performance.now();
    while (performance.now() - at < settleMsMax) {
      if ((await this.isKeptAt(member)) || this.wrongs.length >= wrongsMax) return;
      await pause(pollMs);
    }
    this.wrong(`${member.name} keeps nothing: ${await describeState([member], this.name)}`);
  }

  #note(figures: Partial<CellFigures>): void {
    for (const name of ["callMsMax", "staleMsMax", "settledMsMax"] as const) {
      this.#figures = { ...this.#figures, [name]: Math.max(this.#figures[name], figures[name] ?? 0) };
    }
  }
}

function parentOf(entry: string): string {
  return entry.slice(0, entry.lastIndexOf(":"));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
