import { keyTag } from "../../../storage/results/result-key.js";
import { type Random, delay } from "../../../core/index.js";
import type { Made } from "./cache-checker.js";
import type { CacheWorld } from "./cache-world.js";
import { DatabaseFailure, groups, rows, tagOf } from "./database.js";
import type { SimulatedNode, RunningNode } from "./simulated-node.js";

type Group = keyof typeof groups;

const ownKeys = ["k1", "k2"] as const;

/** Pause once data no longer changes: there is little new to see. */
const calmPauseMs = 400;

/** A user of one node: calls cached functions, changes the database, and invalidates. */
export class User {
  readonly #world: CacheWorld;
  readonly #setup: SimulatedNode;
  readonly #node: RunningNode;
  readonly #random: Random;

  constructor(world: CacheWorld, setup: SimulatedNode, node: RunningNode, random: Random) {
    this.#world = world;
    this.#setup = setup;
    this.#node = node;
    this.#random = random;
  }

  /** Runs as long as its node lives. */
  async run(): Promise<void> {
    while (!this.#node.life.isOver) {
      await this.#pause(this.#world.isCalm || this.#world.isLull ? calmPauseMs : this.#random.fraction() < 0.2 ? 150 : 30);
      if (this.#setup.running !== this.#node) return;
      if (this.#world.isLull) continue;
      const isReader = this.#world.isCalm || this.#random.fraction() < 0.68;
      if (isReader) await this.#look();
      else await this.#act();
    }
  }

  /** One call of each function: the results that all users see in the end. */
  async lookAtAll(): Promise<readonly (readonly [what: string, made: Made])[]> {
    const { row, group, page, sync } = this.#node.functions;
    const seen: (readonly [string, Made])[] = [];
    const look = async (what: string, run: () => unknown) => {
      const made = await this.#call(what, run);
      if (made !== undefined) seen.push([what, made]);
    };
    await Promise.all(
      rows.map(async (name) => {
        await look(`row ${name}`, () => row(name));
        if (!this.#setup.sharesResults) await look(`sync ${name}`, () => sync(name));
      }),
    );
    await Promise.all(
      (Object.keys(groups) as Group[]).flatMap((name) => [
        look(`group ${name}`, () => group(name)),
        look(`page ${name}`, () => page(name)),
      ]),
    );
    return seen;
  }

  async #look(): Promise<void> {
    const { row, group, page, total, flaky, report, failing, sync } = this.#node.functions;
    const { cache } = this.#node;
    const name = this.#row();
    const dice = this.#random.fraction();
    if (dice < 0.25) await this.#call(`row ${name}`, () => row(name));
    else if (dice < 0.4) await this.#look1("group", group);
    else if (dice < 0.55) await this.#look1("page", page);
    else if (dice < 0.61) await this.#call("total", () => total());
    else if (dice < 0.68) await this.#unlessStumbled(`flaky ${name}`, name, () => flaky(name));
    else if (dice < 0.74) await this.#unlessStumbled(`report ${name}`, name, () => report(name));
    else if (dice < 0.79) await this.#call(`failing ${name}`, () => failing(name));
    else if (dice < 0.84 && !this.#setup.sharesResults) await this.#call(`sync ${name}`, () => sync(name));
    else if (dice < 0.89) await this.#abort(name);
    else if (dice < 0.94) await this.#call(`get`, () => cache.get(this.#key()));
    else await this.#crowd(name);
  }

  async #act(): Promise<void> {
    const { cache, functions } = this.#node;
    const name = this.#row();
    const dice = this.#random.fraction();
    if (dice < 0.5) await this.#change(name);
    else if (dice < 0.56) await this.#invalidating(keyTag(functions.row.key(name)), () => functions.row.invalidate(name));
    else if (dice < 0.62) await this.#call(`row ${name}`, () => functions.row.refresh(name));
    else if (dice < 0.72) await this.#set();
    else if (dice < 0.78) await this.#getOrSet();
    else if (dice < 0.81) await this.#deleteKey();
    else if (dice < 0.83) await this.#invalidating("", () => cache.clear());
    else await this.#prune();
  }

  /** A sweep ends with ClosedError when its cache is closed. */
  async #prune(): Promise<void> {
    try {
      await this.#node.cache.prune(this.#random.fraction() < 0.7 ? 0 : "50ms");
    } catch (error) {
      this.#world.unlessExpected(this.#setup.name, error);
    }
  }

  #look1(what: string, run: (group: Group) => unknown): Promise<Made | undefined> {
    const names = Object.keys(groups) as Group[];
    const name = names[this.#below(names.length)] ?? "a";
    return this.#call(`${what} ${name}`, () => run(name));
  }

  /** Many calls at once, and more while something may be invalidated. */
  async #crowd(name: string): Promise<void> {
    const { row } = this.#node.functions;
    const calls = Array.from({ length: 3 }, async (_, index) => {
      if (index > 0) await this.#pause(40);
      await this.#call(`row ${name}`, () => row(name));
    });
    await Promise.all(calls);
  }

  async #abort(name: string): Promise<void> {
    const { abortable } = this.#node.functions;
    const abort = new AbortController();
    const called = this.#call(`abortable ${name}`, () => abortable(name, abort.signal));
    await this.#pause(60);
    abort.abort();
    await called;
  }

  /** Changes a row, then invalidates its tag, or a tag above. */
  async #change(name: string): Promise<void> {
    this.#world.database.change(name);
    if (this.#random.fraction() < 0.2) await this.#pause(20);
    if (this.#setup.running !== this.#node) return;
    const dice = this.#random.fraction();
    const tag = tagOf(name);
    const invalidated = dice < 0.65 ? tag : dice < 0.9 ? tag.slice(0, tag.lastIndexOf(":")) : "r";
    await this.#invalidating(invalidated, () => this.#node.cache.invalidate(invalidated));
  }

  async #set(): Promise<void> {
    const { cache, functions } = this.#node;
    const [key, name] = [this.#key(), this.#row()];
    const own = this.#ownTag(key);
    const making = functions.begin();
    const since = this.#random.fraction() < 0.6 ? cache.now() : undefined;
    making.dependOn(tagOf(name));
    if (since !== undefined) await functions.pause();
    if (this.#setup.running !== this.#node) return;
    const made = since === undefined ? functions.at(name) : (making.read(name), making.made);
    await this.#invalidating(own, (moment) => {
      const value: Made = { run: 0, marks: [...made.marks, [own, moment]], rows: made.rows };
      return cache.set(key, value, { tags: [tagOf(name)], since, ttl: "1s" });
    });
  }

  async #getOrSet(): Promise<void> {
    const { cache, functions } = this.#node;
    const [key, name] = [this.#key(), this.#row()];
    const what = `getOrSet ${key}`;
    const compute = async () => {
      const making = functions.beginOf(what);
      making.dependOn(this.#ownTag(key));
      making.dependOn(tagOf(name));
      await functions.pause();
      making.read(name);
      return making.made;
    };
    await this.#call(what, () => cache.getOrSet(key, compute, { tags: [tagOf(name)] }));
  }

  async #deleteKey(): Promise<void> {
    const key = this.#key();
    await this.#invalidating(this.#ownTag(key), () => this.#node.cache.delete(key));
  }

  /** The outcome of an invalidation says where it is kept if the process dies. */
  async #invalidating(tag: string, run: (moment: number) => Promise<"published" | "queued">): Promise<void> {
    const { life } = this.#node;
    const { issued, call } = this.#world.checker.invalidates(life, tag);
    this.#world.note(this.#setup.name, `invalidates ${tag || "everything"} at ${issued.moment}`);
    try {
      const outcome = await run(issued.moment);
      this.#world.checker.ended(call, undefined);
      if (life.isOver) return;
      const isOnDisk = this.#setup.isKeeping;
      if (outcome === "published") issued.keptBy = "bus";
      else if (isOnDisk) issued.keptBy = "disk";
      // A disk that has failed is empty from then on, or its position is before the events that the bus reports to the
      // next process.
      if (isOnDisk || outcome === "queued") this.#setup.keep(tag, issued.moment);
    } catch (error) {
      this.#world.checker.ended(call, undefined);
      this.#world.unlessExpected(this.#setup.name, error);
    }
  }

  /** Calls a function that may give a stale value if there is no better one. */
  async #unlessStumbled(what: string, row: string, run: () => unknown): Promise<void> {
    const { functions } = this.#node;
    const before = functions.stumblesOf(row);
    await this.#call(what, run, () => functions.stumblesOf(row) === before);
  }

  async #call(what: string, run: () => unknown, isChecked: () => boolean = () => true): Promise<Made | undefined> {
    const { checker } = this.#world;
    const call = checker.began(this.#node.life, what);
    let made: Made | undefined;
    try {
      made = (await this.#world.contexts.call(what, run, (given) => (given as Made | undefined)?.run)) as Made | undefined;
    } catch (error) {
      this.#world.unlessExpected(this.#setup.name, error);
      if (error instanceof DatabaseFailure) made = error.made;
    }
    if (this.#world.trace !== undefined) this.#world.note(this.#setup.name, `${what} began ${oldestOf(made)}`);
    checker.ended(call, isChecked() ? made : undefined);
    return made;
  }

  #ownTag(key: string): string {
    return this.#node.core.keyOf(key).tag;
  }

  #row(): string {
    return rows[this.#below(rows.length)] ?? "a/1";
  }

  #key(): string {
    return ownKeys[this.#below(ownKeys.length)] ?? "k1";
  }

  #below(count: number): number {
    return Math.floor(this.#random.fraction() * count);
  }

  #pause(msMax: number): Promise<void> {
    return delay(this.#node.clock, this.#random.fraction() * msMax);
  }
}

const oldestOf = (made: Made | undefined) => Math.min(...(made?.marks.map(([, moment]) => moment) ?? []));
