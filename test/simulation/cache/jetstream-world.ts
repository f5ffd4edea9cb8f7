import { type BucketEnd, type BucketFaults, type BucketHub, createBucketHub } from "../../../testing/bucket-hub.js";
import type { FaultyNetwork } from "../../../testing/faulty-network.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { SimulatedJetStream } from "../../../testing/simulated-jetstream.js";
import { type Bus } from "../../../transport/index.js";
import { readBusWord } from "../../../transport/jetstream/messages.js";
import { oneOf } from "../common/play-faults.js";
import { autoPruneIntervalsMs, type BusDeps, CacheWorld, prefix, slackMs, timings } from "./cache-world.js";
import { tapStream } from "./stream-tap.js";
import { createJetStreamBus } from "../../../actors/cache/bus/stream-bus.js";

/** A bucket whose readers get their answers from followers, and which loses requests and answers now and then. */
const bucketFaults: BucketFaults = { delayMsMin: 0.2, delayMsMax: 3, lossOfRequests: 0.005, lossOfAnswers: 0.005, lagMsMax: 100 };

/** Name of the stream of invalidations. */
export const streamName = `ZOOID_${prefix}`;

/** A run over JetStream. Nodes without a disk may share a bucket. */
export class JetStreamWorld extends CacheWorld {
  readonly network: FaultyNetwork;
  readonly jetStream: SimulatedJetStream;
  readonly brokerClock: NodeClock;
  readonly bucket: BucketHub;
  readonly historyMs: number;
  override readonly lullMs: number;
  readonly autoPruneIntervalMs: number;
  readonly maxStaleMs = timings.maxStaleMs;
  readonly countedBy = "jetstream";

  constructor(seed: number, trace?: (line: string) => void) {
    super({ seed, trace, staleMsMax: timings.maxStaleMs + timings.stallMsMax + slackMs });
    const { checker } = this;
    const random = this.random();
    this.network = this.newNetwork(random);
    this.brokerClock = this.clock.node((random.fraction() - 0.5) * 7_200_000);
    this.jetStream = new SimulatedJetStream({
      network: this.network,
      clock: this.brokerClock,
      random,
      log: this.log("broker"),
      faults: { unsaid: 0, followerLagMsMax: 300, windowMax: 6, saysTime: random.fraction() < 0.8 },
      onTaken: (message) => checker.took(message),
    });
    // In every other run, expired entries stay until a node sweeps them.
    const knowsTimesToLive = seed % 2 === 0;
    this.bucket = createBucketHub({ clock: this.brokerClock, random: this.random(), faults: bucketFaults, knowsTimesToLive });
    this.historyMs = random.fraction() < 0.15 ? timings.shortHistoryMs : timings.historyMs;
    this.autoPruneIntervalMs = oneOf(autoPruneIntervalsMs, random);
    this.lullMs = this.historyMs === timings.shortHistoryMs ? this.historyMs * (1.05 + random.fraction() / 2) : 0;
  }

  /** `forgotten`: invalidations that the stream no longer holds because of their age alone. */
  override get counts(): Readonly<Record<string, number>> {
    const forgotten = this.jetStream.stream(streamName)?.forgotten.filter(({ subject, payload }) => {
      const [, tokens] = subject.split(".inv.");
      return tokens !== undefined && readBusWord(tokens, payload).type === "invalidate";
    });
    return { ...super.counts, forgotten: forgotten?.length ?? 0 };
  }

  openBus({ life, end, clock, random, log }: BusDeps): Bus {
    const transport = tapStream(end, this.checker, life);
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = timings;
    const { historyMs } = this;
    return createJetStreamBus({ transport, prefix, heartbeatIntervalMs, heartbeatTimeoutMs, historyMs, clock, random, log });
  }

  connectBucket(clock: NodeClock, end: NetworkEnd): BucketEnd {
    const bucket = this.bucket.connect({ clock, timeoutMs: timings.bucketTimeoutMs });
    if (end.status !== "connected") bucket.cut();
    end.onStatus((status) => {
      if (status === "connected") bucket.mend();
      else bucket.cut();
    });
    return bucket;
  }
}
