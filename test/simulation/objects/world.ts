import { FaultyNetwork } from "../../../testing/faulty-network.js";
import type { SentMessage } from "../../../testing/published.js";
import { CallContexts } from "../common/call-contexts.js";
import { Checker } from "./checker.js";
import { CoherenceChecker } from "../coherence/coherence-checker.js";
import { Stage } from "../common/stage.js";
import { WireTap } from "../common/wire-tap.js";

export const realm = "sim";
export const storage = "main";

/**
 * Times of the processes, in ms: the times of production, all shortened, so that each passes often in a run of seconds.
 */
export const timings = {
  heartbeatIntervalMs: 200,
  heartbeatTimeoutMs: 700,
  keepAliveIntervalMs: 200,
  sessionTimeoutMs: 800,
  transactionTimeoutMs: 600,
  requestTimeoutMs: 400,
  waitTimeoutMs: 3_000,
  outcomeAgeMs: 20_000,
} as const;

/**
 * Intervals between two sweeps of the history; each run has one of them. Most of the cost of a run with the first is
 * sweeps that find nothing.
 */
export const pruningIntervalsMs = [80, 400, 1_200] as const;

/** Keys of all workloads: few, so that transactions meet. */
export const prefixes = ["a/", "b/", "c/"] as const;
export const keys: readonly string[] = prefixes.flatMap((prefix) => ["1", "2", "3", "4"].map((name) => prefix + name));

/** In some runs, in bytes: the invalidation of one key fits in a message; that of two keys is sent without its keys. */
const tightPayloadBytesMax = 66;

/**
 * Maximal number of timers that fire in one run: ten times those of the longest run that was seen. More is an endless
 * loop.
 */
const stepsMax = 30_000;

/** The state that all processes of one simulated run share. One seed decides everything in it. */
export class World extends Stage {
  readonly checker: Checker;
  readonly network: FaultyNetwork;
  /** Faults have ended: users do little, as there is little new to see. */
  isCalm = false;
  readonly contexts: CallContexts;
  /** Checks results that cached functions make of objects. */
  readonly coherence: CoherenceChecker;
  readonly #tap = new WireTap(this);

  constructor(seed: number, trace?: (line: string) => void) {
    const checker = new Checker(() => this.clock.monotonic());
    super(seed, checker, stepsMax, trace);
    this.checker = checker;
    this.contexts = new CallContexts((sentence, facts) => checker.violated(11, sentence, facts));
    this.coherence = new CoherenceChecker(checker, this.clock);
    const random = this.random();
    this.network = new FaultyNetwork({
      clock: this.clock,
      random,
      ...(random.fraction() < 0.25 ? { payloadBytesMax: tightPayloadBytesMax } : {}),
      log: this.log("network"),
      onSend: (sent) => {
        this.#watch(sent);
      },
    });
  }

  protected override isExpected(error: Error): boolean {
    return super.isExpected(error) || error.name === "ReadFailure" || error.name === "AbortError";
  }

  #watch(sent: SentMessage): void {
    if (this.trace !== undefined && !sent.subject.includes(".invalidations")) {
      const arrivals = sent.arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
      this.note(sent.from, `→ ${sent.to} ${sent.subject} ${arrivals || "lost"}`);
    }
    this.#tap.take(sent);
  }
}
