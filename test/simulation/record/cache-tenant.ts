import { openCacheOver } from "../../../actors/cache/cache.js";
import { createPlainBus } from "../../../actors/cache/bus/plain-bus.js";
import type { Cache } from "../../../actors/cache/interface.js";
import { cacheSettings } from "../../../actors/cache/options.js";
import { delay } from "../../../core/index.js";
import { oneOf } from "../common/play-faults.js";
import { timings } from "../cache/cache-world.js";
import { realm, type RecordWorld } from "./record-world.js";
import type { LinkedPlace } from "./store-tenants.js";
import type { Tenant } from "./users.js";

const tags = ["cities:DE", "cities:FR", "cities"];

/** A node of a cache over plain NATS: the machines of its bus and its pruning are recorded, and its invalidations. */
export class CacheNode implements Tenant {
  readonly pauseMs = 400;
  readonly hasSteadyFacts = false;
  readonly #place: LinkedPlace;
  readonly #world: RecordWorld;
  readonly #cache: Cache;

  constructor(world: RecordWorld, place: LinkedPlace) {
    this.#place = place;
    this.#world = world;
    const { end: transport, process, clock, random, log, name: node } = place;
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = timings;
    const bus = createPlainBus({ transport, prefix: realm, heartbeatIntervalMs, heartbeatTimeoutMs, clock, random, log });
    const settings = cacheSettings({
      ...{ bus, prefix: realm, node, clock, random, log },
      publishTimeout: `${timings.publishTimeoutMs}ms`,
      autoPruneSecs: "500ms",
      autoPruneInterval: "300ms",
    });
    this.#cache = process.act(() => openCacheOver(settings, { bus, disk: undefined }, { transport, system: process.system }).cache);
  }

  act(): void {
    const { random, clock, name } = this.#place;
    const tag = oneOf(tags, random);
    const dice = random.fraction();
    const done =
      dice < 0.6
        ? this.#cache.getOrSet(`${tag}:mayor`, () => delay(clock, random.fraction() * 50), { tags: [tag] })
        : dice < 0.95
          ? this.#cache.invalidate(tag)
          : this.#cache.prune("1ms");
    Promise.resolve<unknown>(done).catch((error: unknown) => this.#world.unlessExpected(name, error));
  }

  burst(): void {
    for (let time = 0; time < 20; time++) this.act();
  }

  killed(): void {
    // Its results are in its memory.
  }

  async close(): Promise<void> {
    await this.#cache.close();
  }
}
