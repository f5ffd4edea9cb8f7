import { describe, expect, test } from "vitest";
import type { OrderedStore } from "../../storage/kv/ordered-store.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../testing/simulated-disk.js";
import { InUseError, seededRandom, WriteInDoubtError } from "../../core/index.js";

const key = Buffer.from("k");

async function write(store: OrderedStore, text: string): Promise<void> {
  await store.batch([{ key, value: Buffer.from(text) }]);
}

async function get(disk: SimulatedDisk): Promise<string | undefined> {
  const store = await disk.copy().open();
  const value = store.read((view) => view.get(key));
  return value === undefined ? undefined : Buffer.from(value).toString();
}

function setup(seed: number) {
  const clock = new SimulatedClock();
  const durable: string[] = [];
  const disk = new SimulatedDisk({
    name: "disk",
    clock,
    random: seededRandom(seed),
    onDurable: (view) => durable.push(Buffer.from(view.get(key) ?? []).toString()),
  });
  return { clock, disk, durable };
}

describe("simulated disk", () => {
  test("a batch takes its time, and onDurable is called once it is durable", async () => {
    const { clock, disk, durable } = setup(1);
    const store = await disk.open();
    const written = write(store, "1");
    expect(await get(disk)).toBeUndefined();
    await clock.settle(written, 10);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(0.2);
    expect(await get(disk)).toBe("1");
    expect(durable).toEqual(["1"]);
  });

  test("a crash loses the batch in the air by chance, and the batches behind it always", async () => {
    const found = new Set<string | undefined>();
    for (let seed = 0; seed < 50; seed++) {
      const { clock, disk } = setup(seed);
      const store = await disk.open();
      await clock.settle(write(store, "1"), 10);
      let settled = 0;
      const mark = () => settled++;
      void write(store, "2").then(mark, mark);
      void write(store, "3").then(mark, mark);
      await clock.advance(0.1);
      await expect(disk.open()).rejects.toThrow(InUseError);
      disk.crash();
      await clock.advance(100);
      expect(settled).toBe(0);
      found.add(await get(disk));
      await disk.open();
    }
    expect(found).toEqual(new Set(["1", "2"]));
  });

  test("a batch that fails is counted when its writer learns so, unless the process was killed meanwhile", async () => {
    const { clock, disk } = setup(1);
    disk.faults = { ...disk.faults, doubt: 1, notifyMsMax: 50 };
    const written = write(await disk.open(), "1");
    expect(disk.failures).toBe(0);
    await expect(clock.settle(written, 100)).rejects.toThrow(WriteInDoubtError);
    expect(disk.failures).toBe(1);
    disk.crash();
    void write(await disk.open(), "2");
    await clock.advance(2);
    disk.crash();
    await clock.advance(100);
    expect(disk.failures).toBe(1);
  });

  test("a batch is visible before its promise resolves, if the disk delays that", async () => {
    const { clock, disk, durable } = setup(1);
    disk.faults = { ...disk.faults, notifyMsMax: 50 };
    const store = await disk.open();
    let isResolved = false;
    const written = write(store, "1").then(() => (isResolved = true));
    await clock.until(() => durable.length > 0, 10);
    expect(await get(disk)).toBe("1");
    expect(isResolved).toBe(false);
    await clock.settle(written, 60);
  });

  test("a batch written alone is durable before batch returns, if the disk's inTurn is 1", async () => {
    const { clock, disk, durable } = setup(1);
    disk.faults = { ...disk.faults, inTurn: 1 };
    const store = await disk.open();
    const changes = [{ key, value: Buffer.from("1") }];
    expect(store.batch(changes, { alone: true })).toBeUndefined();
    expect(durable).toEqual(["1"]);
    const written = store.batch(changes);
    const behind = store.batch(changes, { alone: true });
    expect(durable).toEqual(["1"]);
    await clock.settle(Promise.all([written, behind]), 10);
    expect(durable).toEqual(["1", "1", "1"]);
    expect(store.batch(changes, { alone: true })).toBeUndefined();
  });

  test("a batch in doubt is on the disk or not, and its writer cannot know", async () => {
    const found = new Set<string | undefined>();
    for (let seed = 0; seed < 50; seed++) {
      const { clock, disk } = setup(seed);
      disk.faults = { ...disk.faults, doubt: 1 };
      const store = await disk.open();
      await expect(clock.settle(write(store, "1"), 10)).rejects.toThrow(WriteInDoubtError);
      found.add(await get(disk));
    }
    expect(found).toEqual(new Set(["1", undefined]));
  });

  test("erasing removes what is durable, or fails and removes nothing", async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      const { clock, disk } = setup(seed);
      const store = await disk.open();
      await clock.settle(write(store, "1"), 10);
      await clock.settle(store.close(), 10);
      disk.faults = { ...disk.faults, doubt: 0.5 };
      const erased = await clock.settle(
        disk.erase().then(
          () => "erased",
          () => "failed",
        ),
        10,
      );
      expect(await get(disk)).toBe(erased === "erased" ? undefined : "1");
      outcomes.add(erased);
    }
    expect([...outcomes].toSorted()).toEqual(["erased", "failed"]);
  });
});
