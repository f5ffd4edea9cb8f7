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

/** Wraps `bus`: its events also go to `onEvent`, after its listener has handled them. */
export function tapped(bus: Bus, onEvent: (event: BusEvent) => void): Bus {
  return canRecall(bus) ? new TappedRecallingBus(bus, onEvent) : new TappedBus(bus, onEvent);
}

class TappedBus<Inner extends Bus = Bus> implements Bus {
  readonly kind: Bus["kind"];
  readonly inner: Inner;
  readonly #onEvent: (event: BusEvent) => void;

  constructor(bus: Inner, onEvent: (event: BusEvent) => void) {
    this.kind = bus.kind;
    this.inner = bus;
    this.#onEvent = onEvent;
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
      this.#onEvent(event);
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

/** Wraps `random`: its ids also go to `drawn`. */
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
