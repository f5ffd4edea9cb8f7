import { onTestFinished } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../cache.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { seededRandom } from "../../../core/index.js";

/** A cache on a clock that stands still until the test moves it. */
export async function openCache(options: CacheOptions = {}): Promise<{ readonly cache: Cache; readonly clock: SimulatedClock }> {
  const clock = new SimulatedClock();
  const cache = await createCache({ clock, random: seededRandom(1), ...options });
  onTestFinished(() => cache.close());
  return { cache, clock };
}

/** A promise that the test settles. */
export interface Gate<T> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}
