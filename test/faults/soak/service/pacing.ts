import { setTimeout as pause } from "node:timers/promises";

const tickMs = 10;

/** Repeats work until the end of a soak. */
export class Pacing {
  readonly #signal: AbortSignal;
  readonly #fraction: () => number;
  readonly #failed: (error: unknown) => void;
  readonly #underWay = new Set<Promise<void>>();

  constructor(signal: AbortSignal, fraction: () => number, failed: (error: unknown) => void) {
    this.#signal = signal;
    this.#fraction = fraction;
    this.#failed = failed;
  }

  /**
   * Begins `work` `perSecond` times a second. Skips what would exceed `underWayMax` runs at once. Resolves when all
   * runs have ended.
   */
  async rate(perSecond: number, underWayMax: number, work: () => Promise<void>): Promise<void> {
    const startMs = performance.now();
    let [begun, underWay] = [0, 0];
    while (!this.#signal.aborted) {
      const owed = Math.floor(((performance.now() - startMs) * perSecond) / 1_000);
      for (; begun < owed; begun++) {
        if (underWay >= underWayMax) continue;
        underWay += 1;
        const running: Promise<void> = work()
          .catch(this.#failed)
          .finally(() => {
            underWay -= 1;
            this.#underWay.delete(running);
          });
        this.#underWay.add(running);
      }
      await this.#pause(tickMs);
    }
    await Promise.all(this.#underWay);
  }

  /** Runs `work` one at a time, with pauses between half and one and a half of `everyMs`. */
  async nowAndThen(everyMs: number, work: () => Promise<void>): Promise<void> {
    for (;;) {
      await this.#pause(everyMs * (0.5 + this.#fraction()));
      if (this.#signal.aborted) return;
      await work();
    }
  }

  /** Runs `work` one at a time, with pauses of `everyMs`, and once more at the end. */
  async steadily(everyMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#pause(everyMs);
      await work();
    }
  }

  /** Ends early with the soak. */
  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#signal }).catch(() => undefined);
  }
}
