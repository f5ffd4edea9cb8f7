import { FaultyNetwork } from "../../../testing/faulty-network.js";
import { limits } from "../../../core/index.js";
import { type Judge, Stage } from "../common/stage.js";
import { Violation } from "../common/violation.js";
import type { SimulatedWriter } from "./simulated-writer.js";

/**
 * A server that has run for this time is found: one request with its time-out, the delay of its messages, and the
 * opening of a disk.
 */
export const foundAfterMs = limits.writerCheckTimeoutMs + 600;

const stepsMax = 100_000;

/** Servers of one storage on a faulty network. */
export class WritersWorld extends Stage {
  readonly network: FaultyNetwork;
  readonly setups: SimulatedWriter[] = [];
  /** Number of servers that began to serve. */
  begun = 0;
  readonly #judge: Judge;

  constructor(seed: number, judge: Judge, trace?: (line: string) => void) {
    super(seed, judge, stepsMax, trace);
    this.#judge = judge;
    this.network = new FaultyNetwork({
      clock: this.clock,
      random: this.random(),
      log: this.log("network"),
      onSend: ({ from, to, subject, arrivalsMs }) => {
        if (this.trace === undefined) return;
        const arrivals = arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
        this.note(from, `→ ${to} ${subject} ${arrivals || "lost"}`);
      },
    });
  }

  /** `begun` serves now: no other server may have been there long enough to be found. */
  checkAlone(begun: SimulatedWriter): void {
    this.begun++;
    for (const other of this.setups) {
      if (other === begun || other.presentMs <= foundAfterMs) continue;
      const facts = { begun: begun.name, other: other.name, presentMs: other.presentMs };
      this.#judge.violated(10, "no server begins while another one serves and has its link to the broker", facts);
    }
  }
}

/** Collects violations. */
export class Verdicts implements Judge {
  readonly violations: Violation[] = [];

  violated(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    this.violations.push(new Violation(promise, sentence, facts));
  }
}
