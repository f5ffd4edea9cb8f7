import { type Random, type Clock, ClosedError, type Log, silentLog, systemRandom, systemClock } from "../core/index.js";
import type { Bus, BusEvent, BusPosition, BusState, BusVersion } from "./bus.js";
import { BusListener } from "./bus-listener.js";

/** Seams of a hub; the system's unless told. */
export interface InvalidationHubOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log;
  /** The last position of an earlier hub that nobody outlived: the count goes on from there, under the same epoch. */
  readonly from?: BusPosition | undefined;
}

/** What the buses of one process have in common: they hear each other. */
export interface InvalidationHub {
  connect(): Bus;
}

/**
 * A hub that counts in memory. A bus that follows from another position than the count's is told a `reset`, as the hub keeps no
 * history.
 */
export function createInvalidationHub(options: InvalidationHubOptions = {}): InvalidationHub {
  return new Hub(options);
}

class Hub implements InvalidationHub {
  readonly clock: Clock;
  readonly #log: Log;
  readonly #buses = new Set<InProcessBus>();
  readonly #told: BusEvent[] = [];
  #position: BusPosition;
  #isTelling = false;

  constructor({ clock = systemClock, random = systemRandom, log = silentLog, from }: InvalidationHubOptions) {
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

  /** True when nothing was missed since `from`. */
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
    this.#told.push({ type: "invalidated", tag, id, version });
    this.#tellAll();
    return version;
  }

  /** A listener that publishes is told of it after all have been told of what came before. */
  #tellAll(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let event = this.#told.shift(); event !== undefined; event = this.#told.shift()) {
      for (const bus of this.#buses) bus.deliver(event);
    }
    this.#isTelling = false;
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
    if (!missedNothing) this.#listener.tell({ type: "reset", version });
    this.#listener.tell({ type: "following", version });
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#hub.leave(this);
  }

  deliver(event: BusEvent): void {
    this.#listener.tell(event);
  }
}
