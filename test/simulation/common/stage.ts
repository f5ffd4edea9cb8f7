import { SimulatedClock } from "../../../testing/simulated-clock.js";
import type { Random, Log } from "../../../core/index.js";
import { InternalError, MalformedMessageError, seededRandom, ZooidError } from "../../../core/index.js";
import type { Violation } from "./violation.js";

/** Takes reports of broken promises. */
export interface Judge {
  readonly violations: readonly Violation[];
  violated(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>): void;
}

/** The base of every simulated world: one seed, one clock, one trace, and a judge. */
export class Stage {
  readonly seed: number;
  readonly clock = new SimulatedClock();
  readonly trace: ((line: string) => void) | undefined;
  readonly #judge: Judge;
  readonly #seeds: Random;
  readonly #stepsMax: number;

  /** A run of more than `stepsMax` timers counts as an endless loop. */
  constructor(seed: number, judge: Judge, stepsMax: number, trace?: (line: string) => void) {
    this.seed = seed;
    this.trace = trace;
    this.#judge = judge;
    this.#seeds = seededRandom(seed);
    this.#stepsMax = stepsMax;
  }

  /** Randomness for one process or purpose, independent of the draws of all others. */
  random(): Random {
    return seededRandom(Math.floor(this.#seeds.fraction() * 0x1_0000_0000));
  }

  get isViolated(): boolean {
    return this.#judge.violations.length > 0;
  }

  /**
   * Steps until `holds` returns true or a promise is broken, at most `timeoutMs` of simulated time. Resolves to whether
   * `holds` does.
   */
  async holdsWithin(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    const { clock } = this;
    const isEnough = () => {
      if (clock.steps > this.#stepsMax && !this.isViolated) this.#judge.violated(12, "a run comes to its end", { steps: clock.steps });
      return this.isViolated || holds();
    };
    await clock.holdsWithin(isEnough, timeoutMs);
    return holds();
  }

  /** The log of one process: written into the trace, and watched for errors that only a bug can cause. */
  log(setup: string): Log {
    const at = (level: string) => (facts: object, message: string) => {
      this.trace?.(this.#line(setup, `${level} ${message} ${show(facts)}`));
      for (const fact of Object.values(facts)) if (fact instanceof Error) this.unlessExpected(setup, fact);
    };
    return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
  }

  /** A line in the trace. */
  note(setup: string, what: string): void {
    this.trace?.(this.#line(setup, what));
  }

  /**
   * Errors must be typed, and neither a bug nor caused by a malformed message of a simulated process: any other error
   * is a violation.
   */
  unlessExpected(setup: string, error: unknown): void {
    for (let each = error; each instanceof Error; each = each.cause) if (this.isExpected(each)) return;
    this.#judge.violated(13, "nothing crashes", { setup, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }

  protected isExpected(error: Error): boolean {
    if (error instanceof ZooidError && !(error instanceof InternalError || error instanceof MalformedMessageError)) return true;
    return error.message === "the simulated disk failed";
  }

  #line(setup: string, what: string): string {
    return `${this.clock.monotonic().toFixed(1).padStart(9)} ${setup.padEnd(8)} ${what}`;
  }
}

function show(facts: object): string {
  return JSON.stringify(facts, (_, value: unknown) => (value instanceof Error ? `${value.name}: ${value.message}` : value));
}
