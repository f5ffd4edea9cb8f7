import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { MemoryDisk, openMemoryStore } from "../../testing/index.js";
import { AssertionError, ClosedError, WriteInDoubtError } from "../../core/index.js";
import { orderedStoreSuite } from "../../testing/suites/ordered-store.js";

orderedStoreSuite("in memory", async () => new MemoryDisk("disk").open);

const key = Buffer.from("k");
const put = (text: string) => [{ key, value: Buffer.from(text) }];

/** A disk whose batches wait in `air` until the test decides. */
function slowDisk() {
  const air: { apply: () => void; resolve: () => void; reject: (error: Error) => void }[] = [];
  const disk = new MemoryDisk("slow", (apply) => new Promise((resolve, reject) => air.push({ apply, resolve, reject })));
  return { air, disk };
}

async function durable(disk: MemoryDisk): Promise<string | undefined> {
  const store = await disk.copy("copy").open();
  const value = store.read((view) => view.get(key));
  return value === undefined ? undefined : Buffer.from(value).toString();
}

describe("a disk in memory", () => {
  test("loses changes that were not durable in a crash, keeps durable ones, and can be opened again", async () => {
    const { air, disk } = slowDisk();
    const store = await disk.open();
    void store.batch(put("one"));
    await Promise.resolve();
    air[0]?.apply();
    air[0]?.resolve();
    await Promise.resolve();
    let settled = false;
    const settle = () => {
      settled = true;
    };
    store.batch(put("two"))?.then(settle, settle);
    while (air.length < 2) await Promise.resolve();
    disk.crash();
    air[1]?.apply();
    air[1]?.resolve();
    expect(await durable(disk)).toBe("one");
    expect(() => store.read(() => 1)).toThrow(ClosedError);
    const reopened = await disk.open();
    expect(reopened.read((view) => view.get(key))).toEqual(new Uint8Array(Buffer.from("one")));
    expect(settled).toBe(false);
  });

  test("keeps no caller of a killed process in memory", async () => {
    const { air, disk } = slowDisk();
    const store = await disk.open();
    const caller = () => {
      const held = { store };
      void store.batch(put("one"))?.then(() => held);
      return new WeakRef(held);
    };
    const held = caller();
    while (air.length === 0) await Promise.resolve();
    disk.crash();
    air.pop()?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    expect(held.deref()).toBeUndefined();
  });

  for (const onDisk of [true, false]) {
    test(`a batch in doubt may be ${onDisk ? "on the disk" : "lost"}, and no batch is accepted until the store is opened again`, async () => {
      let fails = true;
      const disk = new MemoryDisk("doubtful", async (apply) => {
        if (!fails || onDisk) apply();
        if (fails) throw new Error("the disk broke");
      });
      const store = await disk.open();
      const behind = [store.batch(put("one")), store.batch(put("two"))];
      for (const batch of behind) await expect(batch).rejects.toThrow(WriteInDoubtError);
      await expect(store.batch(put("three"))).rejects.toThrow(WriteInDoubtError);
      await store.close();
      fails = false;
      const reopened = await disk.open();
      expect(await durable(disk)).toBe(onDisk ? "one" : undefined);
      await reopened.batch(put("four"));
      expect(await durable(disk)).toBe("four");
    });
  }

  test("a view that is used after its call throws an AssertionError", async () => {
    const store = await openMemoryStore();
    await store.batch(put("one"));
    const view = store.read((kept) => kept);
    expect(() => view.get(key)).toThrow(AssertionError);
  });

  test("keeps its own copy of a written value", async () => {
    const store = await openMemoryStore();
    const value = Buffer.from("one");
    await store.batch([{ key, value }]);
    value.fill(0);
    expect(store.read((view) => Buffer.from(view.get(key) ?? []).toString())).toBe("one");
  });
});
