import type { Cache } from "../../../actors/cache/interface.js";
import { keyTag } from "../../../storage/results/result-key.js";
import { type Random, type Clock, delay } from "../../../core/index.js";
import type { CallContexts } from "../common/call-contexts.js";
import type { CacheChecker, Made } from "./cache-checker.js";
import { type Database, DatabaseFailure, groups, Making, tagOf } from "./database.js";

export interface FunctionsDeps {
  readonly cache: Cache;
  readonly clock: Clock;
  readonly random: Random;
  readonly checker: CacheChecker;
  readonly contexts: CallContexts;
  readonly database: Database;
}

type Group = keyof typeof groups;

/** The cached functions of one process, each of another kind. Each result says what it was computed from. */
export class CachedFunctions {
  readonly row;
  readonly group;
  readonly page;
  readonly total;
  readonly flaky;
  readonly report;
  readonly failing;
  readonly sync;
  readonly abortable;
  /** By row: see `stumblesOf`. */
  readonly #stumbles = new Map<string, number>();
  readonly #deps: FunctionsDeps;

  constructor(deps: FunctionsDeps) {
    const { cache } = deps;
    this.#deps = deps;
    this.row = cache.cacheable((row: string): Promise<Made> => this.#read(row), {
      name: "row",
      deps: (row) => [tagOf(row)],
    });
    this.group = cache.cacheable((group: Group): Promise<Made> => this.#readGroup(group), { name: "group", deps: [] });
    this.page = cache.cacheable((group: Group): Promise<Made> => this.#callRows(group), { name: "page", deps: [] });
    this.total = cache.cacheable(() => this.#callGroups(), { name: "total", deps: ["totals"], ttl: "400ms", readExtendTtl: false });
    this.flaky = cache.cacheable((row: string): Promise<Made> => this.#stumble(row), {
      name: "flaky",
      deps: (row) => [tagOf(row)],
      ttl: "200ms",
      staleIfError: "1s",
    });
    this.report = cache.cacheable((row: string) => this.#callFlaky(row), { name: "report", deps: (row) => [tagOf(row)] });
    this.failing = cache.cacheable((row: string) => this.#fail(row), {
      name: "failing",
      deps: (row) => [tagOf(row)],
      cacheErrors: true,
      ttl: "300ms",
    });
    this.sync = cache.cacheable((row: string): Made => this.#at(row), { name: "sync", deps: (row) => [tagOf(row)] });
    this.abortable = cache.cacheable((row: string, signal?: AbortSignal) => this.#readUnlessAborted(row, signal), {
      name: "abortable",
      deps: (row) => [tagOf(row)],
      key: (row) => row,
      signal: (_row, signal) => signal,
    });
  }

  /**
   * Counts how often a function that depends on `flaky` of `row` failed, or got a stale value because there was no
   * better one. It is counted when the value is given: a call during which the count rises may have got that value too,
   * so its result is not checked.
   */
  stumblesOf(row: string): number {
    return this.#stumbles.get(row) ?? 0;
  }

  /** The current row, as a caller reads it for a value of its own. */
  at(row: string): Made {
    const making = this.begin();
    making.dependOn(tagOf(row));
    making.read(row);
    return making.made;
  }

  /** Begins to read the database. `run` is the number of the computation, or 0 for none. */
  begin(run = 0): Making {
    return new Making(this.#deps.database, this.#deps.checker.next(), run);
  }

  /** The computation of `getOrSet` for `what` begins. */
  beginOf(what: string): Making {
    return this.begin(this.#deps.contexts.begins(what));
  }

  /** Takes the time of a function: mostly a few ms, sometimes so long that much is invalidated meanwhile. */
  async pause(signal?: AbortSignal): Promise<void> {
    const dice = this.#deps.random.fraction();
    if (dice < 0.15) return;
    const msMax = dice < 0.5 ? 4 : dice < 0.9 ? 50 : 250;
    await delay(this.#deps.clock, this.#deps.random.fraction() * msMax, signal);
  }

  async #read(row: string): Promise<Made> {
    const making = this.#begin(`row ${row}`, this.row.key(row));
    making.dependOn(tagOf(row));
    await this.pause();
    making.read(row);
    await this.pause();
    return making.made;
  }

  #at(row: string): Made {
    const making = this.#begin(`sync ${row}`, this.sync.key(row));
    making.dependOn(tagOf(row));
    making.read(row);
    return making.made;
  }

  async #readGroup(group: Group): Promise<Made> {
    const making = this.#begin(`group ${group}`, this.group.key(group));
    for (const name of groups[group]) {
      const row = `${group}/${name}`;
      making.dependOn(tagOf(row));
      if (this.#isHeads()) this.#deps.cache.addDeps(tagOf(row));
      await this.pause();
      making.read(row);
      this.#deps.cache.addDeps(tagOf(row));
    }
    await this.pause();
    return making.made;
  }

  async #callRows(group: Group): Promise<Made> {
    const making = this.#begin(`page ${group}`, this.page.key(group));
    await this.pause();
    const called = groups[group].map((name) => `${group}/${name}`);
    if (this.#isHeads()) for (const made of await Promise.all(called.map((row) => this.#row(row)))) making.use(made);
    else for (const row of called) making.use(await this.#row(row));
    await this.pause();
    return making.made;
  }

  #row(row: string): Promise<Made> {
    return this.#nested(`row ${row}`, () => this.row(row));
  }

  async #callGroups(): Promise<Made> {
    const making = this.#begin("total", this.total.key());
    making.dependOn("totals");
    for (const group of Object.keys(groups) as Group[]) {
      const name = this.#isHeads() ? "group" : "page";
      making.use(await this.#nested(`${name} ${group}`, () => this[name](group)));
    }
    return making.made;
  }

  async #stumble(row: string): Promise<Made> {
    const making = this.#begin(`flaky ${row}`, this.flaky.key(row));
    making.dependOn(tagOf(row));
    await this.pause();
    if (this.#deps.random.fraction() < 0.4) {
      this.#stumbled(row);
      throw this.#failed(making);
    }
    making.read(row);
    return making.made;
  }

  /** Uses a value that may be stale, because there was no better one. */
  async #callFlaky(row: string): Promise<Made> {
    const making = this.#begin(`report ${row}`, this.report.key(row));
    making.dependOn(tagOf(row));
    const before = this.stumblesOf(row);
    const used = await this.#nested(`flaky ${row}`, () => this.flaky(row));
    const isStale = this.stumblesOf(row) > before;
    await this.pause();
    making.use(used);
    // Other calls may have joined since `flaky` failed.
    if (isStale) this.#stumbled(row);
    return making.made;
  }

  async #fail(row: string): Promise<Made> {
    const making = this.#begin(`failing ${row}`, this.failing.key(row));
    making.dependOn(tagOf(row));
    await this.pause();
    making.read(row);
    if (this.#isHeads()) throw this.#failed(making);
    return making.made;
  }

  async #readUnlessAborted(row: string, signal: AbortSignal | undefined): Promise<Made> {
    const making = this.#begin(`abortable ${row}`, this.abortable.key(row));
    making.dependOn(tagOf(row));
    await this.pause(signal);
    making.read(row);
    await this.pause(signal);
    return making.made;
  }

  /** A computation of a cached function begins: `what` names it with its arguments. */
  #begin(what: string, key: string): Making {
    const making = this.begin(this.#deps.contexts.begins(what));
    making.dependOn(keyTag(key));
    return making;
  }

  /** Calls a cached function from within another, as `what`. */
  #nested(what: string, run: () => Promise<Made>): Promise<Made> {
    return this.#deps.contexts.call(what, run, ({ run }) => run);
  }

  #stumbled(row: string): void {
    this.#stumbles.set(row, this.stumblesOf(row) + 1);
  }

  #failed(making: Making): DatabaseFailure {
    this.#deps.contexts.fails();
    return new DatabaseFailure(making.made);
  }

  #isHeads(): boolean {
    return this.#deps.random.fraction() < 0.5;
  }
}
