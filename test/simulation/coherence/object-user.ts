import { type Random, type Clock, delay } from "../../../core/index.js";
import type { Life } from "../objects/checker.js";
import type { Workload } from "../objects/workload.js";
import type { World } from "../objects/world.js";
import { keys, prefixes } from "../objects/world.js";
import { type ObjectFunctions, tagOf } from "./object-functions.js";

export interface ObjectUserOptions {
  readonly world: World;
  readonly functions: ObjectFunctions;
  readonly workload: Workload;
  readonly clock: Clock;
  readonly random: Random;
  readonly life: Life;
  readonly isReadOnly: boolean;
}

/** Few keys, so that a result is found again before its bound is past. */
const freshKeys = keys.slice(0, 3);

/** A user that calls cached functions which read the store, and writes what they read. */
export class ObjectUser {
  readonly #options: ObjectUserOptions;
  readonly #random: Random;
  /** Some users mostly call the function with a bound on its age. */
  readonly #wantsFresh: boolean;

  constructor(options: ObjectUserOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#wantsFresh = this.#random.fraction() < 0.25;
  }

  /** Runs as long as the process lives. */
  async run(): Promise<never> {
    for (;;) {
      await this.#pause(this.#options.world.isCalm ? 300 : 60);
      await this.#unlessExpected(() => this.#act());
    }
  }

  /** The process ends: its computations die with it. */
  end(): void {
    this.#options.functions.end();
  }

  /** One call of each function: the results that all users see in the end. */
  async lookAtAll(): Promise<void> {
    const { functions } = this.#options;
    for (const key of keys) {
      for (const each of [functions.value, functions.pair, functions.fresh, functions.throwing])
        await this.#unlessExpected(() => each(key));
    }
    for (const prefix of prefixes) {
      for (const each of [functions.folder, functions.outer, functions.top]) await this.#unlessExpected(() => each(prefix));
    }
  }

  async #act(): Promise<unknown> {
    const { functions, isReadOnly } = this.#options;
    if (this.#wantsFresh && this.#random.fraction() < 0.8) return functions.fresh(this.#one(freshKeys));
    const key = this.#one(keys);
    const dice = this.#random.fraction();
    if (dice < 0.14) return functions.value(key);
    if (dice < 0.26) return functions.pair(key);
    if (dice < 0.34) return functions.folder(this.#one(prefixes));
    if (dice < 0.44) return functions.fresh(this.#one(freshKeys));
    if (dice < 0.5) return functions.fallback(key);
    if (dice < 0.57) return functions.throwing(key);
    if (dice < 0.61) return functions.backup(key);
    if (dice < 0.65) return functions.report(key);
    if (dice < 0.73) return functions.outer(this.#one(prefixes));
    if (dice < 0.79) return functions.top(this.#one(prefixes));
    if (dice < 0.88 || isReadOnly) return this.#crowd(key);
    if (dice < 0.93) return this.#invalidate(key);
    return this.#writeThenRead(key);
  }

  /** Many calls at once, and more while something may be committed or invalidated. */
  async #crowd(key: string): Promise<void> {
    const { functions } = this.#options;
    const call = this.#one([functions.value, functions.pair, functions.throwing, functions.fallback]);
    const calls = Array.from({ length: 3 }, async (_, index) => {
      if (index > 0) await this.#pause(40);
      await this.#unlessExpected(() => call(key));
    });
    if (this.#random.fraction() < 0.3) calls.push(this.#invalidate(key));
    await Promise.all(calls);
  }

  /** Reads its own write, which may have come while another caller's computation of the same result was running. */
  async #writeThenRead(key: string): Promise<void> {
    const { functions, workload } = this.#options;
    const call = this.#one([functions.value, functions.pair]);
    const early = this.#unlessExpected(() => call(key));
    if (this.#random.fraction() < 0.5) await this.#pause(10);
    await workload.put(key);
    await call(key);
    await early;
  }

  async #invalidate(key: string): Promise<void> {
    const { one, two } = this.#options.functions;
    const tag = this.#one([tagOf(key), tagOf(key), "v", "folders", "tops"]);
    await one.invalidate(tag);
    if (this.#random.fraction() < 0.2) await two.invalidate("");
  }

  async #unlessExpected(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const { world, life } = this.#options;
      world.note(life.client, `a call failed: ${String(error)}`);
      world.unlessExpected(life.client, error);
    }
  }

  #one<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random.fraction() * all.length)] as T;
  }

  #pause(msMax: number): Promise<void> {
    return delay(this.#options.clock, this.#random.fraction() * msMax);
  }
}
