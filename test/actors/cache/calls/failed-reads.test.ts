import { describe, expect, test } from "vitest";
import type { ObjectClient } from "../../../../actors/client/object-client.js";
import { asTid, NotAuthorizedError } from "../../../../core/index.js";
import { all } from "../../../support/client-world.js";
import type { TappedTransport } from "../../../support/tapped-transport.js";
import { type ObjectWorld, objectWorld } from "../objects/object-world.js";
import { gate } from "../open.js";

/** The client that a function reads through, and its transport. */
interface Through extends Omit<ObjectWorld, "client"> {
  readonly client: ObjectClient;
  readonly transport: TappedTransport;
}

type Read = (through: Through) => Promise<unknown>;

/** A wait that never ends, on something outside of the store. */
const never = () => new Promise<never>(() => undefined);

/** The transactions that were begun earlier, outside of cached functions. */
const opened = new WeakMap<ObjectClient, Awaited<ReturnType<ObjectClient["begin"]>>>();
const openedOf = (client: ObjectClient) => {
  const tx = opened.get(client);
  if (tx === undefined) throw new Error("none was begun");
  return tx;
};

const reads: Record<string, Read> = {
  get: ({ client }) => client.get("k"),
  "get of a key that is not known here": ({ client }) => client.get("unknown"),
  getMany: ({ client }) => client.getMany(["k", "unknown"]),
  list: ({ client }) => all(client.list("k")),
  read: ({ client }) => client.read((tx) => tx.get("unknown")),
  "read of nothing": ({ client }) => client.read(() => 1),
  "read with maxStaleMs": ({ client }) => client.read((tx) => tx.get("k"), { maxStaleMs: 1 }),
  "read with serverSync": ({ client }) => client.read((tx) => tx.get("k"), { serverSync: true }),
  "read after a tid": ({ client }) => client.read((tx) => tx.get("k"), { after: asTid(client.position.tid + 1) }),
  transact: ({ client }) => client.transact((tx) => tx.get("unknown")),
  "transact of nothing": ({ client }) => client.transact(() => 1),
  put: ({ client }) => client.put("k", 2),
  update: ({ client }) => client.update("k", () => 2),
  delete: ({ client }) => client.delete("k"),
  begin: ({ client }) => client.begin().then((tx) => tx.get("unknown")),
  watch: async ({ client }) => client.watch("k").return?.(),
  connected: ({ client }) => client.connected(10),
  serverStatus: ({ client }) => client.serverStatus(),
  "get of a transaction": ({ client }) => openedOf(client).get("k"),
  "getMany of a transaction": ({ client }) => openedOf(client).getMany(["k"]),
  "list of a transaction": ({ client }) => all(openedOf(client).list("k")),
  "update of a transaction": ({ client }) => openedOf(client).update("k", () => 1),
  "vote of a transaction": ({ client }) => openedOf(client).vote(),
  "finish of a transaction": ({ client }) =>
    openedOf(client)
      .put("k", 2)
      .then(() => openedOf(client).finish()),
};

/** Reads whose signal has aborted or aborts meanwhile, or that time out. */
const givenUp: Record<string, Read> = {
  "read, aborted before": ({ client }) => client.read((tx) => tx.get("k"), { signal: AbortSignal.abort(new Error("gone")) }),
  "list, aborted before": ({ client }) => all(client.list("k", { signal: AbortSignal.abort(new Error("gone")) })),
  "transact, aborted before": ({ client }) => client.transact((tx) => tx.get("k"), { signal: AbortSignal.abort(new Error("gone")) }),
  "put, aborted before": ({ client }) => client.put("k", 2, { signal: AbortSignal.abort(new Error("gone")) }),
  "begin, aborted before": ({ client }) => client.begin({ signal: AbortSignal.abort(new Error("gone")) }),
  "get of a transaction, aborted meanwhile": async ({ client }) => {
    const controller = new AbortController();
    const tx = await client.begin({ signal: controller.signal });
    controller.abort(new Error("gone"));
    return tx.get("unknown");
  },
  "list of a transaction, aborted meanwhile": async ({ client }) => {
    const controller = new AbortController();
    const tx = await client.begin({ signal: controller.signal });
    controller.abort(new Error("gone"));
    return all(tx.list("k"));
  },
  "get of a transaction that was aborted": async ({ client }) => {
    const tx = await client.begin();
    await tx.abort();
    return tx.get("k");
  },
  "read that takes too long, and waits for something else": ({ client }) => client.read(never, { timeoutMs: 10 }),
  "read that takes too long, and waits for a load": ({ client, transport }) => {
    transport.held.set("load", never());
    return client.read((tx) => tx.get("unknown"), { timeoutMs: 10 });
  },
  "read that takes too long, and waits for a page": ({ client, transport }) => {
    transport.held.set("list", never());
    return client.read((tx) => all(tx.list("k")), { timeoutMs: 10 });
  },
  "transact that takes too long, and waits for something else": ({ client }) => client.transact(never, { timeoutMs: 10 }),
  "transact that takes too long between two attempts": async ({ client, run, writer }) =>
    client.transact(
      async (tx) => {
        await tx.update("k", () => 5);
        await run(writer.put("k", 6));
      },
      { timeoutMs: 5 },
    ),
  "read that is aborted, and waits for something else": ({ client, clock }) => {
    const controller = new AbortController();
    clock.setTimeout(() => controller.abort(new Error("gone")), 10);
    return client.read(never, { signal: controller.signal });
  },
  "transact that conflicts": ({ client, run, writer }) =>
    client.transact(
      async (tx) => {
        await tx.update("k", () => 5);
        await run(writer.put("k", 6));
      },
      { attemptsMax: 1 },
    ),
  "vote that conflicts": async ({ client, run, writer }) => {
    const tx = await client.begin();
    await tx.put("k", 5);
    await run(writer.put("k", 6));
    await tx.vote();
  },
  "get that the server refuses": ({ client, transport }) => {
    transport.fails.set("load", new NotAuthorizedError({ address: "here" }));
    return client.get("unknown");
  },
  "list that the server refuses": ({ client, transport }) => {
    transport.fails.set("list", new NotAuthorizedError({ address: "here" }));
    return all(client.list("k"));
  },
};

/** Faults of the client before it is read through. */
const troubles: Record<string, (through: Through) => Promise<unknown> | void> = {
  "a client that is closed": ({ client, run }) => run(client.close()),
  "a client that was killed": ({ client }) => client.kill(),
  "a client that is cut off": async ({ transport, clock }) => {
    transport.takes = () => false;
    for (const operation of ["register", "alive", "load", "list", "status", "commit", "vote", "sync"]) transport.deaf.add(operation);
    await clock.advance(30_000);
  },
};

/**
 * Calls `read` twice in a cached function that is nested in one of another cache. The inner function returns a fallback
 * for a failed read, or fails with it.
 */
async function madeOf(how: "fallback" | "cacheErrors", read: Read, trouble: (through: Through) => Promise<unknown> | void) {
  const world = await objectWorld();
  const { cache, openCache, open, run, writer } = world;
  await run(writer.put("k", 1));
  const { client, transport } = await open("through", { waitTimeoutMs: 1_000 });
  const through = { ...world, client, transport };
  await run(client.get("k"));
  opened.set(client, await run(client.begin()));
  await trouble(through);
  let runs = 0;
  let failures = 0;
  const inner = cache.cacheable(
    async () => {
      runs++;
      try {
        return await read(through);
      } catch (error) {
        failures++;
        if (how === "fallback") return "fallback";
        throw error;
      }
    },
    { name: "inner", cacheErrors: how === "cacheErrors" },
  );
  const second = await openCache();
  const outer = second.cacheable(async () => inner(), { name: "outer", cacheErrors: how === "cacheErrors" });
  for (let call = 0; call < 2; call++) await run(outer()).catch(() => undefined);
  return { runs, failures, entries: cache.stats().entries + second.stats().entries };
}

describe.each(["fallback", "cacheErrors"] as const)("a result or error made from a failed read is given and not kept: %s", (how) => {
  for (const [name, trouble] of Object.entries(troubles)) {
    for (const [what, read] of Object.entries(reads)) {
      test(`${name}, ${what}`, async () => {
        const { runs, failures, entries } = await madeOf(how, read, trouble);
        // A client that is cut off can still read from its cache; such a result is kept as usual.
        if (failures > 0 || name !== "a client that is cut off") expect({ runs, entries }).toEqual({ runs: 2, entries: 0 });
      });
    }
  }
  for (const [what, read] of Object.entries(givenUp)) {
    test(what, async () => {
      const { runs, failures, entries } = await madeOf(how, read, () => undefined);
      expect({ runs, failures, entries }).toEqual({ runs: 2, failures: 2, entries: 0 });
    });
  }
});

/** Resolves to a fallback when `asked` takes longer than `first`. */
const orFallback = (asked: Promise<unknown>, first: Promise<unknown>) => Promise.race([asked, first.then(() => "fallback")]);

describe("a result made without waiting for a begun read is given and not kept", () => {
  const waits: Record<string, (through: Through, until: Promise<void>) => Promise<unknown>> = {
    get: ({ client }) => client.get("k"),
    getMany: ({ client }) => client.getMany(["k"]),
    list: ({ client }) => all(client.list("k")),
    "read that waits for something else": ({ client }, until) => client.read(() => until),
    "transact that reads": ({ client }) => client.transact((tx) => tx.get("k")),
    "get of a transaction": ({ client }) => openedOf(client).get("k"),
  };
  for (const [name, read] of Object.entries(waits)) {
    test(name, async () => {
      const world = await objectWorld();
      const { cache, open, run, writer, clock } = world;
      await run(writer.put("k", 1));
      const { client, transport } = await open("through");
      opened.set(client, await run(client.begin()));
      const [answered, impatient] = [gate(), gate()];
      for (const operation of ["load", "list"]) transport.heldAnswers.set(operation, answered.promise);
      let runs = 0;
      const cached = cache.cacheable(
        () => {
          runs++;
          return orFallback(read({ ...world, client, transport }, answered.promise), impatient.promise);
        },
        { name: "cached" },
      );
      const first = cached();
      await clock.advance(0);
      impatient.open();
      expect(await run(first)).toBe("fallback");
      answered.open();
      await clock.advance(10);
      await run(cached());
      expect(runs).toBe(2);
    });
  }

  for (const which of ["its own cache", "another cache"]) {
    test(`cached call of ${which}`, async () => {
      const { cache, openCache, clock } = await objectWorld();
      const [slow, impatient] = [gate(), gate()];
      const inner = (which === "its own cache" ? cache : await openCache()).cacheable(() => slow.promise.then(() => 1), { name: "inner" });
      let runs = 0;
      const outer = cache.cacheable(
        () => {
          runs++;
          return orFallback(inner(), impatient.promise);
        },
        { name: "outer" },
      );
      const first = outer();
      impatient.open();
      expect(await first).toBe("fallback");
      slow.open();
      await clock.advance(0);
      expect([await outer(), await outer(), runs]).toEqual([1, 1, 2]);
    });
  }

  test("unlike a result whose function waits for all of its reads", async () => {
    const { cache, open, run, writer } = await objectWorld();
    await run(writer.put("k", 1));
    const { client } = await open("through");
    let runs = 0;
    const cached = cache.cacheable(
      () => {
        runs++;
        return client.read((tx) => Promise.all([tx.get("k"), client.get("other"), all(client.list("k"))]));
      },
      { name: "cached" },
    );
    await run(cached());
    await run(cached());
    expect(runs).toBe(1);
  });
});

describe("a result made from a cached call that was given up is given and not kept", () => {
  for (const when of ["before", "meanwhile"]) {
    for (const which of ["its own cache", "another cache"]) {
      test(`of ${which}, ${when}`, async () => {
        const { cache, openCache, clock } = await objectWorld();
        const second = which === "its own cache" ? cache : await openCache();
        const held = gate();
        const inner = second.cacheable((_signal: AbortSignal) => held.promise, { name: "inner", key: () => 0, signal: (signal) => signal });
        let runs = 0;
        const outer = cache.cacheable(
          async () => {
            runs++;
            const controller = new AbortController();
            if (when === "before") controller.abort();
            const called = inner(controller.signal);
            controller.abort();
            return called.catch(() => "fallback");
          },
          { name: "outer" },
        );
        const first = outer();
        await clock.advance(0);
        expect(await first).toBe("fallback");
        await outer();
        expect(runs).toBe(2);
      });
    }
  }

  test("of another cache, that took too long", async () => {
    const { cache, openCache, clock } = await objectWorld();
    const second = await openCache({ flightTimeout: "1s" });
    const held = gate();
    const inner = second.cacheable(() => held.promise, { name: "inner" });
    let runs = 0;
    const outer = cache.cacheable(
      async () => {
        runs++;
        return inner().catch(() => "fallback");
      },
      { name: "outer" },
    );
    void inner();
    const first = outer();
    await clock.advance(1_000);
    expect(await first).toBe("fallback");
    held.open();
    await outer();
    expect(runs).toBe(2);
  });
});
