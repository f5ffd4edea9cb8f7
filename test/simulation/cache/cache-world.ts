import { type BucketFaults, type BucketHub, createBucketHub } from "../../../testing/bucket-hub.js";
import { FaultyNetwork } from "../../../testing/faulty-network.js";
import { SimulatedJetStream } from "../../../testing/simulated-jetstream.js";
import { CallContexts } from "../call-contexts.js";
import { oneOf } from "../play-faults.js";
import { Stage } from "../stage.js";
import { CacheChecker } from "./cache-checker.js";
import { Database } from "./database.js";

/** Prefix of all caches here. */
export const prefix = "sim";

/** Times of the places, in ms: those of production, shortened alike. */
export const timings = {
  heartbeatIntervalMs: 100,
  heartbeatTimeoutMs: 350,
  maxStaleMs: 500,
  publishTimeoutMs: 250,
  flightTimeoutMs: 700,
  bucketTimeoutMs: 150,
  autoPruneMs: 150,
  /** Of some runs: positions fall out of the stream's age. */
  shortHistoryMs: 6_000,
  historyMs: 60_000,
  /** One message on its way, at most; what holds a process up, at most. */
  delayMsMax: 450,
  stallMsMax: 400,
  /** Of the slowest function, with those it calls. */
  functionMsMax: 1_500,
} as const;

/** From one pruning to the next: one of these in each run. Sweeps that find nothing are most of what a run with the first costs. */
const autoPruneIntervalsMs = [120, 500, 1_500] as const;

/** The reading of a clock that ticks, and clocks that go a little slower. */
const slackMs = 60;

/** A bucket whose readers are answered by followers, and whose answers are lost now and then. */
const bucketFaults: BucketFaults = { delayMsMin: 0.2, delayMsMax: 3, lossOfRequests: 0.005, lossOfAnswers: 0.005, lagMsMax: 100 };

/** Timers that fire in one run at most: ten times those of the longest that was seen. More is a loop that does not end. */
const stepsMax = 250_000;

/** What all places of one simulated run of the cache share. */
export class CacheWorld extends Stage {
  readonly checker: CacheChecker;
  readonly contexts: CallContexts;
  readonly network: FaultyNetwork;
  readonly jetStream: SimulatedJetStream;
  readonly brokerClock;
  /** What nodes without a disk may share. */
  readonly bucket: BucketHub;
  readonly database: Database;
  readonly historyMs: number;
  readonly autoPruneIntervalMs: number;
  /** Nobody changes anything any more. */
  isCalm = false;

  constructor(seed: number, trace?: (line: string) => void) {
    const checker = new CacheChecker({
      now: () => this.clock.monotonic(),
      staleMsMax: timings.maxStaleMs + timings.stallMsMax + slackMs,
      callMsMax: 2 * timings.functionMsMax + timings.flightTimeoutMs + timings.publishTimeoutMs + timings.stallMsMax,
    });
    super(seed, checker, stepsMax, trace);
    this.checker = checker;
    this.contexts = new CallContexts((sentence, facts) => checker.violated(11, sentence, facts));
    const chance = this.chance();
    this.network = new FaultyNetwork({
      clock: this.clock,
      chance,
      log: this.log("network"),
      onSend: ({ from, to, subject, arrivalsMs }) => {
        if (this.trace === undefined) return;
        const arrivals = arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
        this.note(from, `→ ${to} ${subject} ${arrivals || "lost"}`);
      },
    });
    this.brokerClock = this.clock.place((chance.fraction() - 0.5) * 7_200_000);
    this.jetStream = new SimulatedJetStream({
      network: this.network,
      clock: this.brokerClock,
      chance,
      log: this.log("broker"),
      habits: { unsaid: 0, followerLagMsMax: 300, windowMax: 6, saysTime: chance.fraction() < 0.8 },
      onTaken: (message) => checker.took(message),
    });
    // In every other run what has expired stays until a node sweeps it.
    const knowsTimesToLive = seed % 2 === 0;
    this.bucket = createBucketHub({ clock: this.brokerClock, chance: this.chance(), faults: bucketFaults, knowsTimesToLive });
    this.historyMs = chance.fraction() < 0.15 ? timings.shortHistoryMs : timings.historyMs;
    this.autoPruneIntervalMs = oneOf(autoPruneIntervalsMs, chance);
    this.database = new Database(checker);
  }

  protected override isExpected(error: Error): boolean {
    return super.isExpected(error) || error.name === "AbortError" || error.name === "DatabaseFailure" || error.name === "JetStreamRefusal";
  }
}
