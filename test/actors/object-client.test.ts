import { afterEach, describe, expect, test } from "vitest";
import { openObjectClient, type ObjectClient } from "../../actors/object-client.js";
import type { ObjectClientOptions } from "../../actors/client-options.js";
import type { UntypedSchema } from "../../actors/schema.js";
import { MemoryDisk } from "../../storage/memory-store.js";
import { seededChance } from "../../words/index.js";
import { serverWorld, type ServerWorld } from "../server-world.js";

interface ClientWorld {
  readonly world: ServerWorld;
  open(name: string, options?: Partial<ObjectClientOptions<UntypedSchema>>): Promise<ObjectClient>;
}

const opened: ObjectClient[] = [];

async function clientWorld(): Promise<ClientWorld> {
  const world = await serverWorld();
  let seed = 100;
  return {
    world,
    async open(name, options = {}) {
      const opening = openObjectClient({
        realm: "test",
        storage: "main",
        client: name,
        transport: world.broker.connect(),
        cache: undefined,
        bootId: "boot",
        clock: world.clock,
        chance: seededChance(seed++),
        ...options,
      });
      const client = await world.clock.settle(opening, 60_000);
      opened.push(client);
      return client;
    },
  };
}

afterEach(() => {
  for (const client of opened.splice(0)) client.kill();
});

describe("an object client", () => {
  test("reads what another one wrote, from its cache until it is told of a change", async () => {
    const { world, open } = await clientWorld();
    const a = await open("a");
    const b = await open("b");
    expect(a.state).toBe("readWrite");
    await world.clock.settle(a.put("city/x", { name: "X" }), 1_000);
    expect(
      (
        await world.clock.settle(
          b.read((tx) => tx.get("city/x")),
          1_000,
        )
      ).value,
    ).toEqual({ name: "X" });
    const again = await world.clock.settle(
      b.read((tx) => tx.get("city/x")),
      1_000,
    );
    expect(again).toMatchObject({ value: { name: "X" }, loads: 0, connected: true });
    const { tid } = await world.clock.settle(
      a.transact((tx) => tx.update("city/x", (city) => ({ ...(city as object), name: "Y" }))),
      1_000,
    );
    const third = await world.clock.settle(
      b.read((tx) => tx.get("city/x"), { after: tid }),
      1_000,
    );
    expect(third).toMatchObject({ value: { name: "Y" }, loads: 1, asOf: tid });
  });

  test("lists in the order of keys, own writes among them", async () => {
    const { world, open } = await clientWorld();
    const a = await open("a");
    await world.clock.settle(
      a.transact(async (tx) => {
        for (const name of ["d", "b", "a", "c"]) await tx.put(`k/${name}`, name);
        await tx.put("l", 1);
      }),
      1_000,
    );
    const rows = await world.clock.settle(
      a.transact(async (tx) => {
        await tx.put("k/bb", "bb");
        await tx.delete("k/c");
        await tx.put("k/z", "z");
        const listed = [];
        for await (const [key, value] of tx.list("k/")) listed.push([key, value]);
        return listed;
      }),
      1_000,
    );
    expect(rows.value).toEqual([
      ["k/a", "a"],
      ["k/b", "b"],
      ["k/bb", "bb"],
      ["k/d", "d"],
      ["k/z", "z"],
    ]);
  });

  test("verifies its cache by replaying what it missed", async () => {
    const { world, open } = await clientWorld();
    const disk = new MemoryDisk("cache", (apply) => {
      apply();
      return Promise.resolve();
    });
    const a = await open("a");
    const b = await open("b", { cache: () => disk.open() });
    await world.clock.settle(a.put("k", 1), 1_000);
    expect(await world.clock.settle(b.get("k"), 1_000)).toBe(1);
    await world.clock.settle(b.close(), 1_000);
    await world.clock.settle(a.put("k", 2), 1_000);
    const again = await open("b", { cache: () => disk.open() });
    expect(again.status().verification).toMatchObject({ how: "replayed", transactions: 1 });
    expect(await world.clock.settle(again.get("k"), 1_000)).toBe(2);
  });
});
