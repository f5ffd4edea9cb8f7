import type { Clock } from "../../core/clock.js";
import type { Swept } from "./entry-store.js";

/** Entries between two looks at the clock. */
const stride = 64;

/** Takes entries from `next` until it has none left or `budgetMs` is over. `remove` returns whether it removed one. */
export function swept<T>(clock: Clock, budgetMs: number, next: () => T | undefined, remove: (entry: T) => boolean): Swept {
  const endMs = clock.monotonic() + budgetMs;
  let removed = 0;
  for (let looked = 1; ; looked++) {
    const entry = next();
    if (entry === undefined) return { removed, done: true };
    if (remove(entry)) removed++;
    if (looked % stride === 0 && clock.monotonic() >= endMs) return { removed, done: false };
  }
}
