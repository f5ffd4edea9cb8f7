import { setTimeout as pause } from "node:timers/promises";
import type { CacheStats } from "../../../cache.js";
import type { Member } from "./member.js";

/** Pause between two requests for the state of the nodes. */
export const pollMs = 10;
/** Time within which all nodes must follow the bus after a fault. */
export const settleMsMax = 20_000;

/**
 * Waits until every node has published all its invalidations, and follows the bus up to the highest sequence that any
 * of them has received. From then on each knows all earlier invalidations. Resolves to the time taken, in ms. Rejects
 * past `settleMsMax`.
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
    // All outboxes are empty: every node must reach the highest sequence that any node has now.
    else if (needed?.epoch !== first.epoch) {
      needed = { epoch: first.epoch, sequence: Math.max(...states.map((state) => state?.sequence ?? 0)) };
    }
    const sequence = needed?.sequence ?? Infinity;
    if (states.every((state) => state !== undefined && state.sequence >= sequence)) return performance.now() - at;
    await pause(pollMs);
  }
  throw new Error(`not all follow the bus within ${settleMsMax / 1_000} s: ${await describeState(members, cell)}`);
}

/** The state of a cache at some nodes, in words. */
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
