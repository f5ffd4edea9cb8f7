import { FaultyNetwork } from "../../../testing/faulty-network.js";
import { Stage } from "../common/stage.js";
import { UserFailure } from "./users-machines.js";
import type { RecordedLife } from "./recorded-life.js";
import { RecordChecker } from "./record-checker.js";

export const realm = "sim";

/** A run with more timers is an endless loop. */
const stepsMax = 200_000;

/** Processes whose actors are recorded, and watchers, on a faulty network. */
export class RecordWorld extends Stage {
  readonly network: FaultyNetwork;
  readonly checker: RecordChecker;
  /** Recordings that are read as files at the end. */
  readonly recorded: RecordedLife[] = [];
  /** Users do nothing now. */
  isQuiet = false;
  /** Faults have ended: users do little, as there is little new to see. */
  isCalm = false;

  constructor(seed: number, trace?: (line: string) => void) {
    const checker = new RecordChecker(() => this.clock.monotonic());
    super(seed, checker, stepsMax, trace);
    this.checker = checker;
    this.network = new FaultyNetwork({
      clock: this.clock,
      random: this.random(),
      log: this.log("network"),
      onSend: ({ from, to, subject, payload, arrivalsMs }) => {
        if (this.trace === undefined) return;
        const arrivals = arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
        this.note(from, `→ ${to} ${subject} ${payload.length} ${arrivals || "lost"}`);
      },
    });
  }

  protected override isExpected(error: Error): boolean {
    return super.isExpected(error) || error instanceof UserFailure;
  }
}
