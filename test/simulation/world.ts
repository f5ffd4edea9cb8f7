import { FaultyNetwork } from "../../testing/faulty-network.js";
import type { SentMessage } from "../../testing/faulty-network.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import type { Chance, Log } from "../../words/index.js";
import { InternalError, MalformedMessageError, seededChance, ZooidError } from "../../words/index.js";
import { Checker } from "./checker.js";
import { WireTap } from "./wire-tap.js";

export const realm = "sim";
export const storage = "main";

/** Times of the places, in ms: those of production, shortened alike, so that a run of seconds sees each of them pass often. */
export const timings = {
  heartbeatIntervalMs: 200,
  heartbeatTimeoutMs: 700,
  keepAliveIntervalMs: 200,
  sessionTimeoutMs: 800,
  transactionTimeoutMs: 600,
  requestTimeoutMs: 400,
  waitTimeoutMs: 3_000,
  outcomeAgeMs: 20_000,
  pruningIntervalMs: 80,
} as const;

/** Keys of all workloads: few, so that transactions meet. The last letter of a prefix decides who lists it. */
export const prefixes = ["a/", "b/", "c/"] as const;
export const keys: readonly string[] = prefixes.flatMap((prefix) => ["1", "2", "3", "4"].map((name) => prefix + name));

/** Of some runs, in bytes: the invalidation of one key fits in a message, that of two is told without them. */
const tightPayloadBytesMax = 66;

/** Timers that fire in one run at most: ten times those of the longest that was seen. More is a loop that does not end. */
const stepsMax = 30_000;

/** What all places of one simulated run share. One seed decides everything in it. */
export class World {
  readonly seed: number;
  readonly clock = new SimulatedClock();
  readonly checker = new Checker();
  readonly network: FaultyNetwork;
  readonly trace: ((line: string) => void) | undefined;
  readonly #seeds: Chance;
  readonly #tap = new WireTap(this);

  constructor(seed: number, trace?: (line: string) => void) {
    this.seed = seed;
    this.#seeds = seededChance(seed);
    this.trace = trace;
    const chance = this.chance();
    this.network = new FaultyNetwork({
      clock: this.clock,
      chance,
      ...(chance.fraction() < 0.25 ? { payloadBytesMax: tightPayloadBytesMax } : {}),
      log: this.log("network"),
      onSend: (sent) => {
        this.#watch(sent);
      },
    });
  }

  /** Chance of its own for one place or purpose: what others ask does not change what it gets. */
  chance(): Chance {
    return seededChance(Math.floor(this.#seeds.fraction() * 0x1_0000_0000));
  }

  get isViolated(): boolean {
    return this.checker.violations.length > 0;
  }

  /** Steps until `holds` or a promise is broken, at most `timeoutMs` of simulated time. Resolves to whether it does. */
  async until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    const { clock, checker } = this;
    const isEnough = () => {
      if (clock.steps > stepsMax && !this.isViolated) checker.violated(12, "a run comes to its end", { steps: clock.steps });
      return this.isViolated || holds();
    };
    await clock.until(isEnough, timeoutMs);
    return holds();
  }

  /** The log of one place: shown in the trace, and watched for what only a bug can cause. */
  log(place: string): Log {
    const at = (level: string) => (facts: object, message: string) => {
      this.trace?.(this.#line(place, `${level} ${message} ${show(facts)}`));
      for (const fact of Object.values(facts)) if (fact instanceof Error) this.unlessExpected(place, fact);
    };
    return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
  }

  /** A line in the trace. */
  note(place: string, what: string): void {
    this.trace?.(this.#line(place, what));
  }

  /** Errors are typed, and none is a bug, nor that of somebody who says what cannot be: anything else is a violation. */
  unlessExpected(place: string, error: unknown): void {
    for (let each = error; each instanceof Error; each = each.cause) {
      if (each instanceof ZooidError && !(each instanceof InternalError || each instanceof MalformedMessageError)) return;
      if (each.message === "the simulated disk failed") return;
    }
    this.checker.violated(13, "nothing crashes", { place, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }

  #watch(sent: SentMessage): void {
    if (this.trace !== undefined && !sent.subject.includes(".invalidations")) {
      const arrivals = sent.arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
      this.note(sent.from, `→ ${sent.to} ${sent.subject} ${arrivals || "lost"}`);
    }
    this.#tap.take(sent);
  }

  #line(place: string, what: string): string {
    return `${this.clock.monotonic().toFixed(1).padStart(9)} ${place.padEnd(8)} ${what}`;
  }
}

function show(facts: object): string {
  return JSON.stringify(facts, (_, value: unknown) => (value instanceof Error ? `${value.name}: ${value.message}` : value));
}
