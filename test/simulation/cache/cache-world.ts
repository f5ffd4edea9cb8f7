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

/** Prefix of all caches of a run. */
export const prefix = "sim";

/** Times of the nodes, in ms: the times of production, all shortened. */
export const timings = {
  heartbeatIntervalMs: 100,
  heartbeatTimeoutMs: 350,
  maxStaleMs: 500,
  /** In some runs over plain NATS: as short as the time-out allows, and shorter. */
  shortMaxStaleMs: 250,
  publishTimeoutMs: 250,
  flightTimeoutMs: 700,
  bucketTimeoutMs: 150,
  autoPruneMs: 150,
  /** In some runs: the shortest that the bus accepts. They have a lull, in which the stream forgets invalidations. */
  shortHistoryMs: 6_000,
  historyMs: 60_000,
  /** Maximal delay of one message, and maximal stall of a process. */
  delayMsMax: 450,
  stallMsMax: 400,
  /** Maximal duration of the slowest function, with the functions that it calls. */
  functionMsMax: 1_500,
} as const;

/**
 * Intervals between two prunings; each run has one of them. Most of the cost of a run with the first is sweeps that
 * find nothing.
 */
export const autoPruneIntervalsMs = [120, 500, 1_500] as const;

/** Allowance, in ms, for a clock that is read in ticks, and for clocks that run a little slower. */
export const slackMs = 60;

/**
 * Maximal number of timers that fire in one run: ten times those of the longest run that was seen. More is an endless
 * loop.
 */
const stepsMax = 250_000;

/** The parts that the bus of one life of a node stands on. */
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
  /**
   * Maximal time from when a broker takes an invalidation until every node respects it in its results, cut off or not.
   */
  readonly staleMsMax: number;
}

/** The state that all nodes of one simulated run of the cache share, with any bus. */
export abstract class CacheWorld extends Stage {
  readonly checker: CacheChecker;
  readonly contexts: CallContexts;
  readonly database: Database;
  abstract readonly network: FaultyNetwork;
  abstract readonly autoPruneIntervalMs: number;
  abstract readonly maxStaleMs: number;
  /** The brokers' wall clock. Undefined: nothing uses it. */
  abstract readonly brokerClock: NodeClock | undefined;
  /** The kind of bus whose sequences a disk continues. Undefined: no disk can. */
  abstract readonly countedBy: string | undefined;
  /** Duration in ms of the lull after the faults, in which no user does anything. 0: the run has none. */
  readonly lullMs: number = 0;
  /** Users do nothing. */
  isLull = false;
  /** Users no longer change anything. */
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

  /** The counts of the run. */
  get counts(): Readonly<Record<string, number>> {
    return { ...this.checker.counts };
  }

  /** The bus of one life of a node. */
  abstract openBus(deps: BusDeps): Bus;

  /** The bucket that nodes without a disk may share, on the link of the bus. */
  abstract connectBucket(clock: NodeClock, end: NetworkEnd): BucketEnd | undefined;

  /** A network that writes its messages into the trace. */
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
