import { afterEach, describe, expect, test } from "vitest";
import * as zooid from "../../../cache.js";
import { ClosedError, InUseError, InvalidOptionError } from "../../../index.js";
import { createBroker } from "../../../transport/index.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const temporaryFolder = temporaryFolders();

afterEach(() => zooid.close());

describe("the cache of the module", () => {
  test("does not exist before configure: every call throws NotConfiguredError", () => {
    const cached = zooid.cacheable((x: number) => x, { name: "early" });
    const calls = [
      () => cached(1),
      () => cached.key(1),
      () => zooid.addDeps("a"),
      () => zooid.invalidate("a"),
      () => zooid.get("a"),
      () => zooid.getOrSet("a", () => 1),
      () => zooid.set("a", 1),
      () => zooid.delete("a"),
      () => zooid.clear(),
      () => zooid.prune(),
      () => zooid.tagVersion("a"),
      () => zooid.now(),
      () => zooid.stats(),
    ];
    for (const call of calls) expect(call).toThrow(zooid.NotConfiguredError);
  });

  test("is configured once: again with equal options does nothing, with other options is refused", async () => {
    await zooid.configure({ defaultTtl: 10 });
    await zooid.set("a", 1);
    await zooid.configure({ defaultTtl: 10 });
    expect(await zooid.get("a")).toBe(1);
    await expect(zooid.configure({ defaultTtl: 11 })).rejects.toThrow(InvalidOptionError);
  });

  test("computes, invalidates and prunes like a cache made by createCache", async () => {
    void zooid.configure();
    let computed = 0;
    const load = zooid.cacheable(
      async (id: string) => {
        zooid.addDeps(`city:${id}`);
        return ++computed;
      },
      { name: "load" },
    );
    expect([await load("DE"), await load("DE")]).toEqual([1, 1]);
    expect(await zooid.invalidate("city")).toBe("published");
    expect(await load("DE")).toBe(2);
    expect(await zooid.getOrSet("x", () => "made")).toBe("made");
    expect(await zooid.getOrSet("x", () => "made again")).toBe("made");
    await zooid.delete("x");
    expect(await zooid.get("x")).toBe(undefined);
    expect(await zooid.prune(0)).toMatchObject({ entries: 0 });
    expect(zooid.tagVersion("city:DE")).toBeGreaterThan(0);
  });
});

describe("names of functions, in the cache of the module", () => {
  const refused = "is that of another cached function";
  const loaderOf = (table: string) =>
    function loadRow(id: number): string {
      return `${table} ${id}`;
    };

  test("are free once it is closed, so that each test can wrap functions with the same names", async () => {
    for (const table of ["first", "second"]) {
      await zooid.configure();
      const load = zooid.cacheable(loaderOf(table));
      expect(() => zooid.cacheable(loaderOf("another"))).toThrow(refused);
      expect([load(1), load(1)]).toEqual([`${table} 1`, `${table} 1`]);
      await zooid.close();
    }
  });

  test("are claimed again by functions that outlive it, at their next calls, unless another function has taken them", async () => {
    await zooid.configure();
    const load = zooid.cacheable(loaderOf("outlives"), { namespace: "outlives" });
    const early = zooid.cacheable(loaderOf("early"), { namespace: "early", replace: true });
    expect([load(1), early(1)]).toEqual(["outlives 1", "early 1"]);
    await zooid.close();
    await zooid.configure();
    expect(load(1)).toBe("outlives 1");
    expect(() => zooid.cacheable(loaderOf("late"), { namespace: "outlives" })).toThrow(refused);
    expect(zooid.cacheable(loaderOf("late"), { namespace: "early" })(1)).toBe("late 1");
    expect(() => early(1)).toThrow(refused);
    await zooid.close();
    await zooid.configure();
    expect(early(1)).toBe("early 1");
  });
});

describe("a cache of the module that is still being opened", () => {
  test("is closed by close(), its configure rejects, and its folder is free", async () => {
    const options = { storageUrl: `lmdb:${await temporaryFolder()}` };
    const rejected = expect(zooid.configure(options)).rejects.toThrow(ClosedError);
    await zooid.close();
    await rejected;
    expect(() => zooid.get("a")).toThrow(zooid.NotConfiguredError);
    await zooid.configure(options);
    expect(await zooid.get("a")).toBe(undefined);
  });

  test("that cannot be opened does not prevent another configure", async () => {
    const folder = await temporaryFolder();
    await using owner = await zooid.createCache({ storageUrl: `lmdb:${folder}` });
    await expect(zooid.configure({ storageUrl: `lmdb:${folder}` })).rejects.toThrow(InUseError);
    await zooid.configure({ storageUrl: "memory:" });
    expect(await zooid.get("a")).toBe(undefined);
    await owner.close();
  });
});

describe("options", () => {
  test.each([
    [{ storageUrl: "redis://cache:6379" }, "lmdb:./folder"],
    [{ busUrl: "ws://127.0.0.1:1", busKind: "jetstream" }, "busKind is jetstream, which needs NATS"],
    [{ busUrl: "nats://bus", transport: {} }, "transport is given beside busUrl"],
    [{ transport: createBroker().connect(), busKind: "jetstream" }, "busKind is jetstream"],
    [{ node: "a b" }, "node is"],
    [{ endpoint: "open" }, "endpoint"],
    [{ busUrl: "redis://user:secret@bus:6379/0" }, "nats://bus:4222"],
    [{ defaultTtl: 60_000_000 }, "milliseconds"],
    [{ storageUrl: "file:x" }, "neither memory: nor lmdb:"],
    ...["lmdb:", "lmdb://", "lmdb:/", "lmdb:///", "lmdb:// "].map((storageUrl) => [{ storageUrl }, "neither memory: nor lmdb:"] as const),
    [{ maxEntries: -1 }, "whole number"],
    [{ ttl: 5 }, "not known"],
    [{ log: {} }, "log lacks methods: trace, debug"],
    [{ log: "info" }, "log lacks"],
    [{ clock: Date }, "clock lacks methods: monotonic"],
    [{ random: Math.random }, "random lacks"],
    [{ transport: {} }, "transport lacks"],
    [{ bus: {} }, "bus lacks"],
    [{ maxStaleSecs: "5 min" }, 'is "5 min", neither'],
    [{ busUrl: "nats://bus:99999" }, "busUrl holds an address that cannot be read"],
    [{ busUrl: "nats://bus:4222/bucket" }, "busUrl holds nats://bus with a path"],
    [{ storageUrl: "nats://bus:x/bucket" }, "storageUrl holds an address that cannot be read"],
    [null, "options is not an object"],
    [{ values: "thawed" }, "not one of frozen, shared, cloned"],
  ] as const)("%j is refused, and the message says what to write", async (options, says) => {
    await expect(zooid.createCache(options as never)).rejects.toThrow(says);
    await expect(zooid.createCache(options as never)).rejects.toThrow(InvalidOptionError);
  });
});
