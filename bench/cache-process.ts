/** A node of a cache in another process: reports when a result of its own is gone, and when a raw message arrives. */
import { connect } from "nats";
import { openCacheOver } from "../actors/cache/cache.js";
import { cacheSettings } from "../actors/cache/options.js";
import type { BusEvent } from "../transport/bus.js";
import { connectNats } from "../transport/index.js";
import { silentLog, systemRandom, systemClock } from "../core/index.js";
import { nowMs } from "./measure.js";
import { answer, processDetails } from "./process.js";
import { createJetStreamBus } from "../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../actors/cache/bus/plain-bus.js";

const { url, busKind } = processDetails<{ readonly busKind: "jetstream" | "nats" }>();
const seams = { clock: systemClock, random: systemRandom, log: silentLog };
const transport = await connectNats({ servers: url, ...seams });
const create = busKind === "jetstream" ? createJetStreamBus : createPlainBus;
const bus = create({ transport, prefix: "bench", ...seams });
let onInvalidated: (tag: string) => void = () => undefined;
const listen = bus.listen.bind(bus);
// The cache handles an event first: it has applied the invalidation that `onInvalidated` gets.
Object.assign(bus, {
  listen: (listener: (event: BusEvent) => void) => {
    listen((event) => {
      listener(event);
      if (event.type === "invalidated") onInvalidated(event.tag);
    });
  },
});
const { cache } = openCacheOver(cacheSettings({ prefix: "bench" }), { bus, disk: undefined });

let computed = 0;
const find = cache.cacheable((_tag: string) => ++computed, { name: "find", deps: (tag: string) => [tag] });

const connection = await connect({ servers: url, noAsyncTraces: true });
let onRaw: (atMs: number) => void = () => undefined;
connection.subscribe("raw.message", { callback: () => onRaw(nowMs()) });
await connection.flush();
while (bus.state.type !== "following") await new Promise((resolve) => setTimeout(resolve, 10));

answer({
  /** Keeps a result under `tag`, and resolves once the cache has applied its invalidation. */
  nextGone: (tag: string) =>
    new Promise((resolve) => {
      const kept = find(tag);
      const wasKept = find(tag) === kept;
      onInvalidated = (invalidated) => {
        if (invalidated !== tag) return;
        // No caller gets the result from here on, as the call of `find` shows. The time of that call does not count.
        const atMs = nowMs();
        resolve({ tag, atMs, wasKept, isGone: find(tag) !== kept });
      };
    }),
  nextRaw: () =>
    new Promise<number>((resolve) => {
      onRaw = resolve;
    }),
  isReady: () => true,
});
