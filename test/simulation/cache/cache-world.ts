import { FaultyNetwork } from "../../../testing/faulty-network.js";
import type { Brokers } from "../../../testing/published.js";
import type { BucketEnd } from "../../../testing/bucket-hub.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import type { Bus } from "../../../transport/index.js";
import type { Random, Log } from "../../../core/index.js";
import { CallContexts } from "../common/call-contexts.js";
import { Stage } from "../common/stage.js";
import { CacheChecker, type NodeLife } from "./cache-checker.js";
import { Database } from "./database.js";

/** Prefix of all caches here. */
export const prefix = "sim";

/** Times of the places, in ms: those of production, shortened alike. */
export const timings = {
  heartbeatIntervalMs: 100,
  heartbeatTimeoutMs: 350,
  maxStaleMs: 500,
  /** Of some runs over plain NATS: as short as the time-out allows, and shorter. */
  shortMaxStaleMs: 250,
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
export const autoPruneIntervalsMs = [120, 500, 1_500] as const;

/** The reading of a clock that ticks, and clocks that go a little slower. */
export const slackMs = 60;

/** Timers that fire in one run at most: ten times those of the longest that was seen. More is a loop that does not end. */
const stepsMax = 250_000;

/** What the bus of one life of a node stands on. */
export interface BusDeps {
  readonly life: NodeLife;
  readonly end: NetworkEnd;
  readonly clock: NodeClock;
  readonly random: Random;
  readonly log: Log;
}

export interface CacheWorldOptions {
  readonly seed: number;
  readonly trace: ((line: string) => void) | undefined;
  /** So long after a broker took it, at most, an invalidation is found in what any node serves, cut off or not. */
  readonly staleMsMax: number;
}

/** What all places of one simulated run of the cache share, whatever bus they have. */
export abstract class CacheWorld extends Stage {
  readonly checker: CacheChecker;
  readonly contexts: CallContexts;
  readonly database: Database;
  abstract readonly network: FaultyNetwork;
  abstract readonly autoPruneIntervalMs: number;
  abstract readonly maxStaleMs: number;
  /** The brokers' wall clock; undefined where nothing asks for it. */
  abstract readonly brokerClock: NodeClock | undefined;
  /** The kind of bus whose numbers a disk goes on from; undefined where none can. */
  abstract readonly countedBy: string | undefined;
  /** Nobody changes anything any more. */
  isCalm = false;

  constructor({ seed, trace, staleMsMax }: CacheWorldOptions) {
    const checker = new CacheChecker({
      now: () => this.clock.monotonic(),
      staleMsMax,
      callMsMax: 2 * timings.functionMsMax + timings.flightTimeoutMs + timings.publishTimeoutMs + timings.stallMsMax,
    });
    super(seed, checker, stepsMax, trace);
    this.checker = checker;
    this.contexts = new CallContexts((sentence, facts) => checker.violated(11, sentence, facts));
    this.database = new Database(checker);
  }

  /** The bus of one life of a node. */
  abstract openBus(deps: BusDeps): Bus;

  /** What nodes without a disk may share, on the same link as the bus. */
  abstract connectBucket(clock: NodeClock, end: NetworkEnd): BucketEnd | undefined;

  /** A network whose messages are in the trace. */
  protected newNetwork(random: Random, brokers?: Brokers): FaultyNetwork {
    return new FaultyNetwork({
      clock: this.clock,
      random,
      log: this.log("network"),
      onSend: ({ from, to, subject, arrivalsMs }) => {
        if (this.trace === undefined) return;
        const arrivals = arrivalsMs.map((ms) => `+${(ms - this.clock.monotonic()).toFixed(1)}`).join(" ");
        this.note(from, `→ ${to} ${subject} ${arrivals || "lost"}`);
      },
      ...(brokers === undefined ? {} : { brokers }),
    });
  }

  protected override isExpected(error: Error): boolean {
    return super.isExpected(error) || error.name === "AbortError" || error.name === "DatabaseFailure" || error.name === "JetStreamRefusal";
  }
}
