import {
  type Bus,
  type BusEvent,
  type BusPosition,
  type BusState,
  type BusVersion,
  canRecall,
  type Recalled,
  type RecallingBus,
  type TagVersion,
} from "../../../transport/bus.js";
import type { Random } from "../../../core/index.js";

/** `bus`, whose events are also given to `told`, after its listener has them. */
export function tapped(bus: Bus, told: (event: BusEvent) => void): Bus {
  return canRecall(bus) ? new TappedRecallingBus(bus, told) : new TappedBus(bus, told);
}

class TappedBus<Inner extends Bus = Bus> implements Bus {
  readonly kind: Bus["kind"];
  readonly inner: Inner;
  readonly #told: (event: BusEvent) => void;

  constructor(bus: Inner, told: (event: BusEvent) => void) {
    this.kind = bus.kind;
    this.inner = bus;
    this.#told = told;
  }

  get state(): BusState {
    return this.inner.state;
  }

  get trouble(): Error | undefined {
    return this.inner.trouble;
  }

  get heardAt(): number {
    return this.inner.heardAt;
  }

  proveWithin(ms: number): void {
    this.inner.proveWithin?.(ms);
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    return this.inner.publish(tag, id);
  }

  listen(listener: (event: BusEvent) => void): void {
    this.inner.listen((event) => {
      listener(event);
      this.#told(event);
    });
  }

  follow(from: BusPosition | undefined, known?: readonly TagVersion[]): Promise<void> {
    return this.inner.follow(from, known);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

class TappedRecallingBus extends TappedBus<RecallingBus> implements RecallingBus {
  get recallAgeMsMax(): number {
    return this.inner.recallAgeMsMax;
  }

  recall(tags: readonly string[], timeoutMs: number): Promise<Recalled> {
    return this.inner.recall(tags, timeoutMs);
  }
}

/** Chance whose ids are also told to somebody who looks on. */
export function tappedRandom(random: Random, drawn: (id: string) => void): Random {
  return {
    fraction: () => random.fraction(),
    id: () => {
      const id = random.id();
      drawn(id);
      return id;
    },
  };
}
