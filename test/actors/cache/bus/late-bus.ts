import type { SimulatedClock } from "../../../../testing/simulated-clock.js";
import type { BusEvent, BusState, BusVersion, Recalled, RecallingBus } from "../../../../transport/bus.js";
import { type Random, delay } from "../../../../core/index.js";

/**
 * A broker that numbers publications after random delays. Its nodes receive all of them in the order of the broker,
 * each node after its own delays, and their own ones before or after the acknowledgement.
 */
export class LateBroker {
  readonly ends: LateEnd[] = [];
  readonly latest = new Map<string, number>();
  readonly clock: SimulatedClock;
  readonly random: Random;
  epoch = "e";
  sequence = 100;

  constructor(clock: SimulatedClock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** Waits up to `msMax`, and often not at all. */
  async late(msMax: number): Promise<void> {
    if (this.random.fraction() < 0.6) await delay(this.clock, this.random.fraction() * msMax);
  }

  take(tag: string, id: string): BusVersion {
    const version = { epoch: this.epoch, sequence: ++this.sequence, time: this.clock.now() };
    this.latest.set(tag, version.sequence);
    for (const end of this.ends) end.push({ type: "invalidated", tag, id, version });
    return version;
  }

  /** Begins another history. */
  begin(): void {
    this.epoch += "e";
    this.sequence = Math.floor(this.sequence * this.random.fraction());
    this.latest.clear();
    const version = { epoch: this.epoch, sequence: this.sequence, time: this.clock.now() };
    for (const end of this.ends) end.push({ type: "reset", version });
  }
}

/** One node's end of a late broker. */
export class LateEnd implements RecallingBus {
  readonly kind = "jetstream";
  readonly recallAgeMsMax = Infinity;
  readonly #broker: LateBroker;
  readonly #coming: BusEvent[] = [];
  #version: BusVersion;
  #isDelivering = false;
  #listener: (event: BusEvent) => void = () => undefined;
  /** Called once the node has received an invalidation. */
  heard: (tag: string, id: string) => void = () => undefined;
  /** Called when an invalidation is handed to the bus. */
  published: (tag: string, id: string) => void = () => undefined;

  constructor(broker: LateBroker) {
    this.#broker = broker;
    this.#version = { epoch: broker.epoch, sequence: broker.sequence };
    broker.ends.push(this);
  }

  get state(): BusState {
    return { type: "following", ...this.#version };
  }

  get heardAt(): number {
    return this.#broker.clock.monotonic();
  }

  push(event: BusEvent): void {
    this.#coming.push(event);
    if (!this.#isDelivering) void this.#deliverAll();
  }

  async publish(tag: string, id: string): Promise<BusVersion> {
    this.published(tag, id);
    for (;;) {
      await this.#broker.late(20);
      const version = this.#broker.take(tag, id);
      await this.#broker.late(30);
      if (version.epoch === this.#version.epoch) return version;
    }
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listener = listener;
  }

  follow(): Promise<void> {
    const version = { ...this.#version, time: this.#broker.clock.now() };
    this.#listener({ type: "reset", version });
    this.#listener({ type: "following", version });
    return Promise.resolve();
  }

  async recall(tags: readonly string[]): Promise<Recalled> {
    const recalled = { sequences: tags.map((tag) => this.#broker.latest.get(tag) ?? 0), reached: this.#broker.sequence };
    await this.#broker.late(10);
    return recalled;
  }

  close(): Promise<void> {
    this.#broker.ends.splice(this.#broker.ends.indexOf(this), 1);
    return Promise.resolve();
  }

  async #deliverAll(): Promise<void> {
    this.#isDelivering = true;
    for (let event = this.#coming[0]; event !== undefined; event = this.#coming[0]) {
      await this.#broker.late(30);
      this.#coming.shift();
      if ("version" in event) this.#version = { epoch: event.version.epoch, sequence: event.version.sequence };
      this.#listener(event);
      if (event.type === "invalidated") this.heard(event.tag, event.id);
    }
    this.#isDelivering = false;
  }
}
