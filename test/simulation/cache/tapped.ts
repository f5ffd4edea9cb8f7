import type { Bus, BusEvent, BusPosition, BusState, BusVersion, Recalled, RecallingBus, TagVersion } from "../../../transport/index.js";
import type { Chance } from "../../../words/index.js";

/** A bus whose events are also told to somebody who looks on, after its listener. */
export class TappedBus implements RecallingBus {
  readonly kind: Bus["kind"];
  readonly #bus: RecallingBus;
  readonly #told: (event: BusEvent) => void;

  constructor(bus: RecallingBus, told: (event: BusEvent) => void) {
    this.kind = bus.kind;
    this.#bus = bus;
    this.#told = told;
  }

  get state(): BusState {
    return this.#bus.state;
  }

  get trouble(): Error | undefined {
    return this.#bus.trouble;
  }

  get heardAt(): number {
    return this.#bus.heardAt;
  }

  get recallAgeMsMax(): number {
    return this.#bus.recallAgeMsMax;
  }

  proveWithin(ms: number): void {
    this.#bus.proveWithin?.(ms);
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    return this.#bus.publish(tag, id);
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#bus.listen((event) => {
      listener(event);
      this.#told(event);
    });
  }

  follow(from: BusPosition | undefined, known?: readonly TagVersion[]): Promise<void> {
    return this.#bus.follow(from, known);
  }

  recall(tags: readonly string[], timeoutMs: number): Promise<Recalled> {
    return this.#bus.recall(tags, timeoutMs);
  }

  close(): Promise<void> {
    return this.#bus.close();
  }
}

/** Chance whose ids are also told to somebody who looks on. */
export function tappedChance(chance: Chance, drawn: (id: string) => void): Chance {
  return {
    fraction: () => chance.fraction(),
    id: () => {
      const id = chance.id();
      drawn(id);
      return id;
    },
  };
}
