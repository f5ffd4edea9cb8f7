import type { Cache } from "../../../actors/cache.js";
import { keyTag } from "../../../storage/cache-key.js";
import { type Chance, type Clock, delay } from "../../../words/index.js";
import type { CacheChecker, Made } from "./cache-checker.js";
import { type Database, DatabaseFailure, groups, Making, tagOf } from "./database.js";

export interface FunctionsAround {
  readonly cache: Cache;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly checker: CacheChecker;
  readonly database: Database;
}

type Group = keyof typeof groups;

/** Keys of computations that gave a stale value, or failed: counted, so that who called meanwhile is not held to more. */
export interface Stumbles {
  count: number;
}

/** The cached functions of one process, each of another kind. What they give tells what it was made of. */
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
  readonly stumbles: Stumbles = { count: 0 };
  readonly #around: FunctionsAround;

  constructor(around: FunctionsAround) {
    const { cache } = around;
    this.#around = around;
    this.row = cache.cacheable((row: string): Promise<Made> => this.#read(this.row.key(row), row), {
      name: "row",
      deps: (row) => [tagOf(row)],
    });
    this.group = cache.cacheable((group: Group): Promise<Made> => this.#readGroup(group), { name: "group", deps: [] });
    this.page = cache.cacheable((group: Group): Promise<Made> => this.#callRows(group), { name: "page", deps: [] });
    this.total = cache.cacheable(() => this.#callGroups(), { name: "total", deps: ["totals"], ttl: "400ms", readExtendTtl: false });
    this.flaky = cache.cacheable((row: string): Promise<Made> => this.#stumble(this.flaky.key(row), row), {
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
    this.sync = cache.cacheable((row: string): Made => this.#at(this.sync.key(row), row), { name: "sync", deps: (row) => [tagOf(row)] });
    this.abortable = cache.cacheable((row: string, signal?: AbortSignal) => this.#readUnlessAborted(row, signal), {
      name: "abortable",
      deps: (row) => [tagOf(row)],
      key: (row) => row,
      signal: (_row, signal) => signal,
    });
  }

  /** What a caller reads now for a value of its own. */
  at(row: string): Made {
    const making = this.#begin();
    making.dependOn(tagOf(row));
    making.read(row);
    return making.made;
  }

  begin(): Making {
    return this.#begin();
  }

  /** As long as a function takes: most some moments, some so long that much is invalidated meanwhile. */
  async pause(signal?: AbortSignal): Promise<void> {
    const dice = this.#around.chance.fraction();
    if (dice < 0.15) return;
    const msMax = dice < 0.5 ? 4 : dice < 0.9 ? 50 : 250;
    await delay(this.#around.clock, this.#around.chance.fraction() * msMax, signal);
  }

  async #read(key: string, row: string): Promise<Made> {
    const making = this.#begin(key);
    making.dependOn(tagOf(row));
    await this.pause();
    making.read(row);
    await this.pause();
    return making.made;
  }

  #at(key: string, row: string): Made {
    const making = this.#begin(key);
    making.dependOn(tagOf(row));
    making.read(row);
    return making.made;
  }

  async #readGroup(group: Group): Promise<Made> {
    const making = this.#begin(this.group.key(group));
    for (const name of groups[group]) {
      const row = `${group}/${name}`;
      making.dependOn(tagOf(row));
      if (this.#isHeads()) this.#around.cache.addDeps(tagOf(row));
      await this.pause();
      making.read(row);
      this.#around.cache.addDeps(tagOf(row));
    }
    await this.pause();
    return making.made;
  }

  async #callRows(group: Group): Promise<Made> {
    const making = this.#begin(this.page.key(group));
    await this.pause();
    const called = groups[group].map((name) => `${group}/${name}`);
    if (this.#isHeads()) for (const made of await Promise.all(called.map((row) => this.row(row)))) making.use(made);
    else for (const row of called) making.use(await this.row(row));
    await this.pause();
    return making.made;
  }

  async #callGroups(): Promise<Made> {
    const making = this.#begin(this.total.key());
    making.dependOn("totals");
    for (const group of Object.keys(groups) as Group[]) making.use(await (this.#isHeads() ? this.group(group) : this.page(group)));
    return making.made;
  }

  async #stumble(key: string, row: string): Promise<Made> {
    const making = this.#begin(key);
    making.dependOn(tagOf(row));
    await this.pause();
    if (this.#around.chance.fraction() < 0.4) {
      this.stumbles.count++;
      throw new DatabaseFailure(making.made);
    }
    making.read(row);
    return making.made;
  }

  /** Uses what may be a stale value, given for want of a better one. */
  async #callFlaky(row: string): Promise<Made> {
    const making = this.#begin(this.report.key(row));
    making.dependOn(tagOf(row));
    const used = await this.flaky(row);
    await this.pause();
    making.use(used);
    return making.made;
  }

  async #fail(row: string): Promise<Made> {
    const making = this.#begin(this.failing.key(row));
    making.dependOn(tagOf(row));
    await this.pause();
    making.read(row);
    if (this.#isHeads()) throw new DatabaseFailure(making.made);
    return making.made;
  }

  async #readUnlessAborted(row: string, signal: AbortSignal | undefined): Promise<Made> {
    const making = this.#begin(this.abortable.key(row));
    making.dependOn(tagOf(row));
    await this.pause(signal);
    making.read(row);
    await this.pause(signal);
    return making.made;
  }

  #begin(key?: string): Making {
    const making = new Making(this.#around.database, this.#around.checker.next());
    if (key !== undefined) making.dependOn(keyTag(key));
    return making;
  }

  #isHeads(): boolean {
    return this.#around.chance.fraction() < 0.5;
  }
}
