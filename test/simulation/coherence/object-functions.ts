import { openCacheOver, type OpenedCache } from "../../../actors/cache/cache.js";
import type { Cache } from "../../../actors/cache/interface.js";
import { cacheSettings } from "../../../actors/cache/options.js";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import { type Random, type Clock, delay, type Log } from "../../../core/index.js";
import type { Life } from "../objects/checker.js";
import { type World, keys } from "../objects/world.js";
import type { CoherenceChecker } from "./coherence-checker.js";
import { type Reading, ReadingBuilder, ReadFailure } from "./reading.js";

export interface ObjectFunctionsOptions {
  readonly world: World;
  readonly client: ObjectClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly life: Life;
  readonly log: Log;
}

/** Bound on the age of a `fresh` result. */
const maxStaleMs = 300;

/** Name of a function and its argument: identifies a call and its computation. */
type What = `${string} ${string}`;

/**
 * Cached functions of one process, each of another kind, in two caches. All read the store, some only through others.
 */
export class ObjectFunctions {
  readonly one: Cache;
  readonly two: Cache;
  readonly #client: ObjectClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #life: Life;
  readonly #world: World;
  readonly #checker: CoherenceChecker;
  /** Failures of `backup`. While it fails, a stale value is given in place of a new one. */
  #stumbles = 0;
  readonly #value;
  readonly #pair;
  readonly #folder;
  readonly #fresh;
  readonly #fallback;
  readonly #throwing;
  readonly #backup;
  readonly #outer;
  readonly #report;
  readonly #top;
  readonly #opened: OpenedCache[] = [];

  constructor({ world, client, clock, random, life, log }: ObjectFunctionsOptions) {
    this.#world = world;
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
    this.#life = life;
    this.#checker = world.coherence;
    const open = () => {
      const opened = openCacheOver(cacheSettings({ clock, random, log }), { bus: undefined, disk: undefined });
      this.#opened.push(opened);
      return opened.cache;
    };
    const [one, two] = [open(), open()];
    this.one = one;
    this.two = two;
    this.#value = one.cacheable((key: string) => this.#readValue(key), { name: "value", deps: (key) => [tagOf(key)] });
    this.#pair = one.cacheable((key: string) => this.#readPair(key), { name: "pair", deps: [] });
    this.#folder = one.cacheable((prefix: string) => this.#readFolder(prefix), { name: "folder", deps: ["folders"] });
    this.#fresh = one.cacheable((key: string) => this.#readFresh(key), { name: "fresh", deps: [] });
    this.#fallback = one.cacheable((key: string) => this.#readOrFallBack(key), { name: "fallback", deps: [] });
    this.#throwing = one.cacheable((key: string) => this.#readAndThrow(key), {
      name: "throwing",
      deps: (key) => [tagOf(key)],
      cacheErrors: true,
    });
    this.#backup = one.cacheable((key: string) => this.#stumble(key), { name: "backup", deps: [], ttl: "300ms", staleIfError: "2s" });
    this.#outer = two.cacheable((prefix: string) => this.#callValues(prefix), { name: "outer", deps: [] });
    this.#report = two.cacheable((key: string) => this.#callBackup(key), { name: "report", deps: [] });
    this.#top = one.cacheable((prefix: string) => this.#callOuter(prefix), { name: "top", deps: ["tops"], ttl: "1s" });
  }

  value = (key: string): Promise<Reading> => this.#call(`value ${key}`, () => this.#value(key));
  pair = (key: string): Promise<Reading> => this.#call(`pair ${key}`, () => this.#pair(key));
  folder = (prefix: string): Promise<Reading> => this.#call(`folder ${prefix}`, () => this.#folder(prefix));
  fresh = (key: string): Promise<Reading> => this.#call(`fresh ${key}`, () => this.#fresh(key), maxStaleMs);
  fallback = (key: string): Promise<Reading> => this.#call(`fallback ${key}`, () => this.#fallback(key));
  throwing = (key: string): Promise<Reading> => this.#call(`throwing ${key}`, () => this.#throwing(key));
  outer = (prefix: string): Promise<Reading> => this.#call(`outer ${prefix}`, () => this.#outer(prefix));
  top = (prefix: string): Promise<Reading> => this.#call(`top ${prefix}`, () => this.#top(prefix));
  backup = (key: string): Promise<Reading> => this.#unlessStumbled(`backup ${key}`, () => this.#backup(key));
  report = (key: string): Promise<Reading> => this.#unlessStumbled(`report ${key}`, () => this.#report(key));

  /** The process ends: its computations never go on. */
  end(): void {
    for (const { core } of this.#opened) core.calls.close();
  }

  /** Calls `run`, which may compute `what`. Checks its result, or the error, against what the client knew before. */
  async #call(what: What, run: () => Promise<Reading>, ageMsMax = Infinity, isChecked: () => boolean = () => true): Promise<Reading> {
    const call = this.#checker.began(what, this.#life, this.#client.position.digest, ageMsMax);
    const end = (reading: Reading) => {
      if (this.#world.trace !== undefined) this.#world.note(this.#life.client, `${what} gave ${JSON.stringify(reading)}`);
      if (isChecked()) this.#checker.ended(call, reading, this.#client.position.digest);
    };
    try {
      const reading = await this.#world.contexts.call(what, run, ({ run: number }) => number);
      end(reading);
      return reading;
    } catch (error) {
      if (error instanceof ReadFailure) end(error.reading);
      throw error;
    }
  }

  #unlessStumbled(what: What, run: () => Promise<Reading>): Promise<Reading> {
    const before = this.#stumbles;
    return this.#call(what, run, Infinity, () => this.#stumbles === before);
  }

  #begin(what: What): ReadingBuilder {
    return new ReadingBuilder(this.#world.contexts.begins(what));
  }

  // ---- The functions

  async #readValue(key: string): Promise<Reading> {
    const making = this.#begin(`value ${key}`);
    await this.#pause();
    making.see({ values: [[key, (await this.#client.get(key)) as string | undefined]] });
    await this.#pause();
    return making.reading;
  }

  /** Reads two keys of one snapshot, which is taken before the first read. */
  async #readPair(key: string): Promise<Reading> {
    const making = this.#begin(`pair ${key}`);
    const other = keys[(keys.indexOf(key) + 5) % keys.length] ?? key;
    const { value } = await this.#client.read(async (reader) => {
      await this.#pause();
      const first = (await reader.get(key)) as string | undefined;
      await this.#pause();
      return [first, (await reader.get(other)) as string | undefined] as const;
    });
    making.see({
      values: [
        [key, value[0]],
        [other, value[1]],
      ],
    });
    return making.reading;
  }

  async #readFolder(prefix: string): Promise<Reading> {
    const making = this.#begin(`folder ${prefix}`);
    const values: [string, string][] = [];
    for await (const [key, value] of this.#client.list(prefix)) values.push([key, value as string]);
    making.see({ values, prefix });
    await this.#pause();
    return making.reading;
  }

  async #readFresh(key: string): Promise<Reading> {
    const making = this.#begin(`fresh ${key}`);
    const { value } = await this.#client.read((reader) => reader.get(key), { maxStaleMs });
    making.see({ values: [[key, value as string | undefined]] });
    return making.reading;
  }

  /** Gives a result even when the store gives none: after a time-out, or for a caller that has given up. */
  async #readOrFallBack(key: string): Promise<Reading> {
    const making = this.#begin(`fallback ${key}`);
    const dice = this.#random.fraction();
    const options = dice < 0.3 ? { timeoutMs: 5 } : dice < 0.4 ? { signal: AbortSignal.abort() } : dice < 0.6 ? { serverSync: true } : {};
    try {
      const { value } = await this.#client.read(async (reader) => {
        if (dice < 0.2) await this.#pause();
        return reader.get(key);
      }, options);
      making.see({ values: [[key, value as string | undefined]] });
    } catch {
      making.fail(this.#checker.next());
    }
    return making.reading;
  }

  async #readAndThrow(key: string): Promise<Reading> {
    const making = this.#begin(`throwing ${key}`);
    let value;
    try {
      value = (await this.#client.get(key)) as string | undefined;
    } catch {
      making.fail(this.#checker.next());
      throw this.#failed(making);
    }
    making.see({ values: [[key, value]] });
    await this.#pause();
    if (this.#random.fraction() < 0.6) throw this.#failed(making);
    return making.reading;
  }

  async #stumble(key: string): Promise<Reading> {
    const making = this.#begin(`backup ${key}`);
    try {
      const value = (await this.#client.get(key)) as string | undefined;
      await this.#pause();
      making.see({ values: [[key, value]] });
    } catch {
      this.#stumbles++;
      making.fail(this.#checker.next());
      throw this.#failed(making);
    }
    if (this.#random.fraction() < 0.4) {
      this.#stumbles++;
      throw this.#failed(making);
    }
    return making.reading;
  }

  async #callValues(prefix: string): Promise<Reading> {
    const making = this.#begin(`outer ${prefix}`);
    await this.#pause();
    const called = keys.filter((key) => key.startsWith(prefix)).slice(0, 3);
    if (this.#isHeads()) for (const reading of await Promise.all(called.map(this.value))) making.use(reading);
    else for (const key of called) making.use(await this.value(key));
    return making.reading;
  }

  async #callBackup(key: string): Promise<Reading> {
    const making = this.#begin(`report ${key}`);
    const before = this.#stumbles;
    making.use(await this.backup(key));
    const isStale = this.#stumbles > before;
    await this.#pause();
    // Other calls may have joined since `backup` failed.
    if (isStale) this.#stumbles++;
    return making.reading;
  }

  async #callOuter(prefix: string): Promise<Reading> {
    const making = this.#begin(`top ${prefix}`);
    making.use(await this.outer(prefix));
    await this.#pause();
    if (this.#isHeads()) making.use(await this.folder(prefix));
    return making.reading;
  }

  #failed(making: ReadingBuilder): ReadFailure {
    this.#world.contexts.fails();
    return new ReadFailure(making.reading);
  }

  #isHeads(): boolean {
    return this.#random.fraction() < 0.5;
  }

  async #pause(): Promise<void> {
    const dice = this.#random.fraction();
    if (dice < 0.2) return;
    await delay(this.#clock, this.#random.fraction() * (dice < 0.5 ? 4 : dice < 0.9 ? 40 : 200));
  }
}

/** A tag besides the object: some computations depend on both. */
export const tagOf = (key: string): string => `v:${key.replace("/", ":")}`;
