import type { FaultyNetwork } from "../../../testing/faulty-network.js";
import type { PublishedMessage } from "../../../testing/published.js";
import { SimulatedCluster } from "../../../testing/simulated-cluster.js";
import { type Bus } from "../../../transport/index.js";
import { readPlainWord } from "../../../transport/nats/plain-words.js";
import { tagOfSubject } from "../../../transport/tag-subject.js";
import { autoPruneIntervalsMs, type BusDeps, CacheWorld, prefix, slackMs, timings } from "../cache/cache-world.js";
import type { NodeLife } from "../cache/cache-checker.js";
import { tapped } from "../cache/tapped.js";
import { oneOf } from "../common/play-faults.js";
import { PublishersHeard } from "./publishers-heard.js";
import { createPlainBus } from "../../../actors/cache/bus/plain-bus.js";

/** Maximal delay of a route between brokers. */
const routeMsMax = 60;

const tagSubjects = `zooid.${prefix}.invalidations.tag.`;

/** Maximal rate of a clock. */
const rateMax = 1.02;

/** A run over plain NATS, of one broker or of a cluster. */
export class PlainWorld extends CacheWorld {
  readonly network: FaultyNetwork;
  readonly cluster: SimulatedCluster;
  readonly autoPruneIntervalMs: number;
  readonly maxStaleMs: number;
  readonly countedBy = undefined;
  readonly brokerClock = undefined;
  /** Whether nodes are stalled now and then: their results may be older by that time. */
  readonly hasStalls: boolean;
  /** Name of the node whose invalidation a broker took last. */
  lastPublisher = "";
  /** By life: the publishers that it has heard. */
  readonly #heard = new Map<NodeLife, PublishersHeard>();

  constructor(seed: number, trace?: (line: string) => void) {
    const hasStalls = seed % 3 === 0;
    const maxStaleMs = seed % 4 === 0 ? timings.shortMaxStaleMs : timings.maxStaleMs;
    super({ seed, trace, staleMsMax: maxStaleMs + routeMsMax + slackMs + (hasStalls ? timings.stallMsMax : 0) });
    this.hasStalls = hasStalls;
    this.maxStaleMs = maxStaleMs;
    const random = this.random();
    this.cluster = new SimulatedCluster({
      clock: this.clock,
      random,
      size: random.fraction() < 0.3 ? 1 : 2,
      routeMsMin: 0.2,
      routeMsMax,
      onTaken: (publication) => this.#took(publication),
    });
    this.network = this.newNetwork(random, this.cluster);
    this.autoPruneIntervalMs = oneOf(autoPruneIntervalsMs, random);
  }

  openBus({ life, end, clock, random, log }: BusDeps): Bus {
    const { checker } = this;
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = timings;
    const heard = new PublishersHeard(
      () => this.clock.monotonic(),
      (publisher, number) => checker.heard(life, publisher, number),
    );
    this.#heard.set(life, heard);
    const bus = createPlainBus({ transport: heard.tap(end), prefix, heartbeatIntervalMs, heartbeatTimeoutMs, clock, random, log });
    return tapped(bus, ({ type }) => {
      if (type === "cut") heard.forget();
    });
  }

  connectBucket(): undefined {
    return undefined;
  }

  /**
   * Finds the nodes that may miss the publication because of a broken route: nodes of another broker that do not know
   * its publisher.
   */
  #took({ from, subject, payload }: PublishedMessage): void {
    const word = readPlainWord(payload);
    const tag = subject.startsWith(tagSubjects) ? tagOfSubject(subject.slice(tagSubjects.length)) : undefined;
    if (word === undefined || tag === undefined) return;
    this.lastPublisher = from;
    const knownSinceMs = this.clock.monotonic() - timings.heartbeatTimeoutMs / rateMax;
    const excused: NodeLife[] = [];
    for (const [life, heard] of this.#heard) {
      if (life.isOver) this.#heard.delete(life);
      else if (this.cluster.brokerOf(life.node) !== this.cluster.brokerOf(from) && heard.lastMs(word.publisher) <= knownSinceMs)
        excused.push(life);
    }
    this.checker.published({ id: word.id, tag, publisher: word.publisher, number: word.number }, excused);
  }
}
