import { setTimeout as pause } from "node:timers/promises";
import type { CacheStats } from "../../../cache.js";
import type { Member } from "./member.js";

/** Nodes are asked how they are so often. */
export const pollMs = 10;
/** Once a fault is over, all nodes follow the bus within this, or they never will. */
export const settleMsMax = 20_000;

/**
 * Waits until every node has published all that it had to say, and follows the bus up to what each of them has heard: from then on
 * they know all that was invalidated before. Resolves to how long that took, in ms. Rejects past `settleMsMax`.
 */
export async function settle(members: readonly Member[], cell: string): Promise<number> {
  const at = performance.now();
  let needed: { readonly epoch: string; readonly sequence: number } | undefined;
  while (performance.now() - at < settleMsMax) {
    const states = await Promise.all(
      members.map(async ({ process }) => {
        const { outbox, bus } = await process.stats(cell);
        return outbox === 0 && bus?.type === "following" ? bus : undefined;
      }),
    );
    const [first] = states;
    const isOneHistory = first !== undefined && states.every((state) => state?.epoch === first.epoch);
    if (!isOneHistory) needed = undefined;
    // Where the farthest was when nobody had anything more to say, there all have to be.
    else if (needed?.epoch !== first.epoch) {
      needed = { epoch: first.epoch, sequence: Math.max(...states.map((state) => state?.sequence ?? 0)) };
    }
    const sequence = needed?.sequence ?? Infinity;
    if (states.every((state) => state !== undefined && state.sequence >= sequence)) return performance.now() - at;
    await pause(pollMs);
  }
  throw new Error(`not all follow the bus within ${settleMsMax / 1_000} s: ${await describeState(members, cell)}`);
}

/** How a cache is at some nodes, for people. */
export async function describeState(members: readonly Member[], cell: string): Promise<string> {
  const states = await Promise.all(
    members.map(({ name, process }) =>
      process.stats(cell).then(
        ({ bus, outbox, isInTouch, entries }: CacheStats) => `${name} ${JSON.stringify({ bus, outbox, isInTouch, entries })}`,
        (error: unknown) => String(error),
      ),
    ),
  );
  return states.join(", ");
}
