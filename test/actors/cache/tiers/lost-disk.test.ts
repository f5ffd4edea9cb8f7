import { expect, onTestFinished, test } from "vitest";
import { openCacheOver } from "../../../../actors/cache/cache.js";
import { cacheSettings } from "../../../../actors/cache/options.js";
import { DiskEntryStore } from "../../../../storage/results/disk-entries.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import { SimulatedDisk, healthyDisk } from "../../../../testing/simulated-disk.js";
import { createInvalidationHub } from "../../../../transport/in-process-bus.js";
import { FaultyNetwork } from "../../../../testing/faulty-network.js";
import { seededRandom, silentLog } from "../../../../core/index.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

/** A cache on a disk that, after `breakDisk`, refuses every write: results, the mark in the folder, and its removal. */
async function setup(kind: "in-process" | "cut off") {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const disk = new SimulatedDisk({ name: "disk", clock, random });
  const opened = DiskEntryStore.open({ name: "zooid", countedBy: kind, open: disk.open, clock, log: silentLog });
  const store = await clock.settle(opened, 1_000);
  const hub = createInvalidationHub({ clock, random });
  const network = new FaultyNetwork({ clock, random });
  const bus = kind === "in-process" ? hub.connect() : createPlainBus({ transport: network.connect("node"), prefix: "p", clock, random });
  const { cache } = openCacheOver(cacheSettings({ bus, clock, random }), { bus, disk: store });
  onTestFinished(() => clock.settle(cache.close(), 10_000));
  const breakDisk = () => {
    disk.faults = { ...healthyDisk, inTurn: 0, doubt: 1 };
  };
  return { clock, cache, network, breakDisk };
}

test.each(["in-process", "cut off"] as const)(
  "an invalidation that a lost disk may undo and that no bus keeps rejects with WriteInDoubtError: %s",
  async (kind) => {
    const { clock, cache, network, breakDisk } = await setup(kind);
    await clock.until(() => cache.stats().bus?.type === "following", 1_000);
    if (kind === "cut off") network.stop();
    expect(await clock.settle(cache.set("k", 1), 5_000)).toBe(kind === "cut off" ? "queued" : "published");
    breakDisk();
    const outcome = cache.invalidate("a").catch((error: unknown) => error);
    expect(await clock.settle(outcome, 5_000)).toMatchObject({ code: "ZOOID_WRITE_IN_DOUBT" });
  },
);
