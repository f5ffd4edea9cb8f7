import { type Clock, ClosedError, type Log, type SeamOptions, seamsOf } from "../core/index.js";
import type { Bus, BusEvent, BusPosition, BusState, BusVersion } from "./bus.js";
import { BusListener } from "./bus-listener.js";

/** Seams of a hub. Default: those of the system. */
export interface InvalidationHubOptions extends SeamOptions {
  /**
   * The last position of an earlier hub whose buses are all gone: the count continues from there, under the same epoch.
   */
  readonly from?: BusPosition | undefined;
}

/** The hub that connects the buses of one process. */
export interface InvalidationHub {
  connect(): Bus;
}

/**
 * A hub that counts in memory. A bus that follows from another position than the hub's gets a `reset`, because the hub
 * keeps no history.
 */
export function createInvalidationHub(options: InvalidationHubOptions = {}): InvalidationHub {
  return new Hub(options);
}

class Hub implements InvalidationHub {
  readonly clock: Clock;
  readonly #log: Log;
  readonly #buses = new Set<InProcessBus>();
  readonly #queue: BusEvent[] = [];
  #position: BusPosition;
  #isNotifying = false;

  constructor({ from, ...seams }: InvalidationHubOptions) {
    const { clock, random, log } = seamsOf(seams);
    this.clock = clock;
    this.#log = log;
    this.#position = from ?? { epoch: random.id(), sequence: 0, time: clock.now() };
  }

  get position(): BusPosition {
    return this.#position;
  }

  connect(): Bus {
    return new InProcessBus(this, this.#log);
  }

  /** Returns true if no event was missed since `from`. */
  join(bus: InProcessBus, from: BusPosition | undefined): boolean {
    this.#buses.add(bus);
    return from !== undefined && from.epoch === this.#position.epoch && from.sequence === this.#position.sequence;
  }

  leave(bus: InProcessBus): void {
    this.#buses.delete(bus);
  }

  publish(tag: string, id: string): BusPosition {
    const { epoch, sequence } = this.#position;
    this.#position = { epoch, sequence: sequence + 1, time: this.clock.now() };
    const version = this.#position;
    this.#queue.push({ type: "invalidated", tag, id, version });
    this.#notifyAll();
    return version;
  }

  /** If a listener publishes, its event is delivered after all listeners have got the earlier events. */
  #notifyAll(): void {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      for (const bus of this.#buses) bus.deliver(event);
    }
    this.#isNotifying = false;
  }
}

class InProcessBus implements Bus {
  readonly kind = "in-process";
  readonly #hub: Hub;
  readonly #listener: BusListener;
  #state: "new" | "following" | "closed" = "new";

  constructor(hub: Hub, log: Log) {
    this.#hub = hub;
    this.#listener = new BusListener(log);
  }

  get state(): BusState {
    if (this.#state !== "following") return { type: "cut" };
    const { epoch, sequence } = this.#hub.position;
    return { type: "following", epoch, sequence };
  }

  get heardAt(): number {
    return this.#state === "following" ? this.#hub.clock.monotonic() : -Infinity;
  }

  async publish(tag: string, id: string): Promise<BusVersion> {
    if (this.#state === "closed") throw new ClosedError({ what: "bus" });
    const { epoch, sequence } = this.#hub.publish(tag, id);
    return { epoch, sequence };
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listener.set(listener);
  }

  async follow(from: BusPosition | undefined): Promise<void> {
    if (this.#state === "closed") throw new ClosedError({ what: "bus" });
    const missedNothing = this.#hub.join(this, from);
    this.#state = "following";
    const version = this.#hub.position;
    if (!missedNothing) this.#listener.notify({ type: "reset", version });
    this.#listener.notify({ type: "following", version });
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#hub.leave(this);
  }

  deliver(event: BusEvent): void {
    this.#listener.notify(event);
  }
}
