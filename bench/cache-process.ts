/** A node of a cache in another process: tells when a result of its own was gone, and when a raw message came. */
import { connect } from "nats";
import { openCacheOver } from "../actors/cache/cache.js";
import { cacheSettings } from "../actors/cache/options.js";
import type { BusEvent } from "../transport/bus.js";
import { connectNats, createJetStreamBus, createPlainBus } from "../transport/index.js";
import { silentLog, systemRandom, systemClock } from "../core/index.js";
import { nowMs } from "./measure.js";
import { answer, processDetails } from "./process.js";

const { url, busKind } = processDetails<{ readonly busKind: "jetstream" | "nats" }>();
const seams = { clock: systemClock, random: systemRandom, log: silentLog };
const transport = await connectNats({ servers: url, ...seams });
const create = busKind === "jetstream" ? createJetStreamBus : createPlainBus;
const bus = create({ transport, prefix: "bench", ...seams });
let told: (tag: string) => void = () => undefined;
const listen = bus.listen.bind(bus);
// The cache hears first: what is told has been applied.
Object.assign(bus, {
  listen: (listener: (event: BusEvent) => void) => {
    listen((event) => {
      listener(event);
      if (event.type === "invalidated") told(event.tag);
    });
  },
});
const { cache } = openCacheOver(cacheSettings({ prefix: "bench" }), { bus, disk: undefined });

let computed = 0;
const find = cache.cacheable((_tag: string) => ++computed, { name: "find", deps: (tag: string) => [tag] });

const connection = await connect({ servers: url, noAsyncTraces: true });
let toldRaw: (atMs: number) => void = () => undefined;
connection.subscribe("raw.told", { callback: () => toldRaw(nowMs()) });
await connection.flush();
while (bus.state.type !== "following") await new Promise((resolve) => setTimeout(resolve, 10));

answer({
  /** Keeps a result under `tag`, and resolves once the cache has applied its invalidation. */
  nextGone: (tag: string) =>
    new Promise((resolve) => {
      const kept = find(tag);
      const wasKept = find(tag) === kept;
      told = (invalidated) => {
        if (invalidated !== tag) return;
        // From here on it is given to nobody, as the call shows; what that costs is not on the way.
        const atMs = nowMs();
        resolve({ tag, atMs, wasKept, isGone: find(tag) !== kept });
      };
    }),
  nextRaw: () =>
    new Promise<number>((resolve) => {
      toldRaw = resolve;
    }),
  isReady: () => true,
});
