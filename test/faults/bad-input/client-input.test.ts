/** Wrong calls of a service. Each has its typed error, and changes nothing. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ObjectClient, openObjectClient } from "../../../actors/client/object-client.js";
import * as wire from "../../../actors/protocol/codec.js";
import { connect, ProtocolVersionError, type Value } from "../../../index.js";
import { seededRandom, limits } from "../../../core/index.js";
import { all, type ClientWorld, clientWorld } from "../../support/client-world.js";
import { standBetween } from "./between.js";

let world: ClientWorld;
let client: ObjectClient;
let before: { readonly position: object; readonly writes: number };

beforeEach(async () => {
  world = await clientWorld();
  ({ client } = await world.open("tester"));
  await world.run(client.put("kept", "as it was"));
  before = now();
});

afterEach(async () => {
  expect(now()).toEqual(before);
  const { client: another } = await world.open("another");
  expect(await world.run(another.get("kept"))).toBe("as it was");
  await world.run(another.put("kept", "changed"));
  world.end();
});

const now = () => ({ position: world.server.status("main").position, writes: world.disk.writes });
const refusedAs = (code: string, facts: object = {}) =>
  expect.objectContaining({ code, facts: expect.objectContaining(facts) as object }) as unknown;
const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  world.run(
    promise.then(
      (value) => ({ resolvedTo: value }),
      (error: unknown) => error,
    ),
  );

describe("a key", () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ["that is empty", "", "is empty"],
    ["with NUL", "a\0b", "contains NUL"],
    ["of 513 bytes", "ü".repeat(256) + "a", "is longer than 512 bytes"],
    ["of a million bytes", "k".repeat(1_000_000), "is longer than 512 bytes"],
    ["with half a character", "\ud800", "contains half a surrogate pair"],
    ["that is a number", 7, "is not a string"],
    ["that is null", null, "is not a string"],
    ["that cannot become text", { toString: 0 }, "is not a string"],
  ];

  test.each(bad)("%s is InvalidKeyError wherever a key is taken", async (_, key, reason) => {
    const wrong = key as string;
    const refused = refusedAs("ZOOID_INVALID_KEY", { reason });
    expect(await refusal(client.get(wrong))).toEqual(refused);
    expect(await refusal(client.getMany(["fine", wrong]))).toEqual(refused);
    expect(await refusal(client.put(wrong, 1))).toEqual(refused);
    expect(await refusal(client.delete(wrong))).toEqual(refused);
    expect(await refusal(client.update(wrong, () => 1))).toEqual(refused);
    expect(await refusal(client.transact(async (tx) => [await tx.put("fine", 1), await tx.put(wrong, 1)]))).toEqual(refused);
    expect(await refusal(client.read((tx) => all(tx.list("", { after: wrong }))))).toEqual(refused);
  });

  test("of 512 bytes is valid", async () => {
    await world.run(client.put("ü".repeat(256), 1));
    before = now();
  });
});

describe("a value", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  let deep: unknown = 1;
  for (let level = 0; level <= limits.valueDepthMax; level++) deep = { deep };
  const bad: readonly (readonly [string, unknown, string])[] = [
    ["undefined", undefined, ""],
    ["a function", () => 1, ""],
    ["a function in an array in it", { list: [1, () => 1] }, ".list[1]"],
    ["a symbol in it", { mark: Symbol("s") }, ".mark"],
    ["a cycle", cycle, ".self"],
    ["a Map", new Map(), ""],
    ["an instance of a class", { at: new URL("http://localhost") }, ".at"],
    ["an invalid Date", new Date(Number.NaN), ""],
    ["a bigint of 65 bits", 2n ** 64n, ""],
    ["half a character", "\udc00", ""],
    ["a property __proto__", JSON.parse('{"__proto__":1}'), ""],
    ["more levels than valueDepthMax", deep, ".deep".repeat(limits.valueDepthMax)],
  ];

  test.each(bad)("with %s is InvalidValueError, which names the place", async (_, value, path) => {
    const refused = refusedAs("ZOOID_INVALID_VALUE", { path });
    expect(await refusal(client.put("bad", value as Value))).toEqual(refused);
    expect(await refusal(client.transact(async (tx) => [await tx.put("fine", 1), await tx.put("bad", value as Value)]))).toEqual(refused);
  });

  test("larger than a message is TooLargeError", async () => {
    const refused = refusedAs("ZOOID_TOO_LARGE", { what: 'value of "large"', sizeMax: limits.valueBytesMax });
    expect(await refusal(client.put("large", new Uint8Array(limits.messageBytesMax)))).toEqual(refused);
  });
});

describe("a transaction", () => {
  test("larger than a message is TooLargeError, at the write that exceeds the bound or at the commit", async () => {
    const half = new Uint8Array(limits.messageBytesMax / 2);
    const refused = refusedAs("ZOOID_TOO_LARGE", { what: "transaction", sizeMax: limits.messageBytesMax });
    expect(await refusal(client.transact(async (tx) => [await tx.put("a", half), await tx.put("b", half)]))).toEqual(refused);
    // The two writes fit in a message, but not with the fields of the message around them.
    const nearly = half.subarray(20);
    expect(await refusal(client.transact(async (tx) => [await tx.put("a", nearly), await tx.put("b", nearly)]))).toEqual(refused);
    await using open = await client.begin();
    await open.put("a", nearly);
    await open.put("b", nearly);
    expect(await refusal(open.vote())).toEqual(refused);
  });

  test("with more keys than transactionKeysMax is TooLargeError", async () => {
    const refused = refusedAs("ZOOID_TOO_LARGE", { what: "keys of a transaction", size: limits.transactionKeysMax + 1 });
    const writing = client.transact(async (tx) => {
      for (let index = 0; index <= limits.transactionKeysMax; index++) await tx.delete(`k${index}`);
    });
    expect(await refusal(writing)).toEqual(refused);
  });

  test("with more ranges than transactionRangesMax is TooLargeError", async () => {
    const listing = client.transact(async (tx) => {
      for (let index = 0; index <= limits.transactionRangesMax; index++) await all(tx.list("none/"));
      await tx.put("fine", 1);
    });
    expect(await refusal(listing)).toEqual(refusedAs("ZOOID_TOO_LARGE", { what: "ranges of a transaction" }));
  });

  test("that throws is not committed, and stores none of its writes", async () => {
    const reason = new RangeError("the service changed its mind");
    const throwing = client.transact(async (tx) => {
      await tx.put("fine", 1);
      throw reason;
    });
    expect(await refusal(throwing)).toBe(reason);
  });
});

describe("read-only access", () => {
  test("a write of a read-only client is ReadOnlyError, before anything is sent", async () => {
    const { client: reader, transport } = await world.open("reader", { readOnly: true });
    const refused = refusedAs("ZOOID_READ_ONLY", { who: "client" });
    expect(await world.run(reader.get("kept"))).toBe("as it was");
    expect(await refusal(reader.put("fine", 1))).toEqual(refused);
    expect(await refusal(reader.delete("kept"))).toEqual(refused);
    expect(await refusal(reader.transact((tx) => tx.put("fine", 1)))).toEqual(refused);
    expect(await refusal(reader.begin().then((tx) => tx.put("fine", 1)))).toEqual(refused);
    expect([transport.count("commit"), transport.count("vote")]).toEqual([0, 0]);
  });

  test("a write at a read-only server is ReadOnlyError, and reads go on", async () => {
    await world.server.close();
    const readOnly = await world.restart({ readOnly: true });
    const { client: writer } = await world.open("writer");
    const refused = refusedAs("ZOOID_READ_ONLY", { who: "server" });
    expect(await refusal(writer.put("fine", 1))).toEqual(refused);
    expect(await refusal(writer.transact((tx) => tx.delete("kept")))).toEqual(refused);
    expect(await world.run(writer.get("kept"))).toBe("as it was");
    expect({ ...before, position: readOnly.status("main").position, writes: world.disk.writes }).toEqual(before);
    await readOnly.close();
    world = { ...world, server: await world.restart({ readOnly: false }) };
  });
});

describe("a client that opens", () => {
  const opening = (options: { readonly storage?: string; readonly transport?: ReturnType<ClientWorld["broker"]["connect"]> }) =>
    openObjectClient({
      realm: "test",
      storage: "main",
      client: "stranger",
      cache: undefined,
      transport: world.broker.connect(),
      clock: world.clock,
      random: seededRandom(1),
      waitTimeoutMs: 5_000,
      ...options,
    });

  test("a storage that no server serves gets DisconnectedError, which names the served storages", async () => {
    const reason = `no server serves storage "elsewhere" now; a server there serves "main"`;
    expect(await refusal(opening({ storage: "elsewhere" }))).toEqual(refusedAs("ZOOID_DISCONNECTED", { reason }));
  });

  test.each([undefined, null, "", 7, {}, "http://127.0.0.1"])("with the servers %j gets InvalidOptionError", async (given) => {
    await expect(connect(given as never)).rejects.toThrow(
      /^option servers (?:is missing: connect\("nats:|is neither an address|holds http:)/,
    );
  });

  test.each(["", "a.b", "*", "a b", "n".repeat(65), 7])("a storage named %j gets InvalidOptionError", async (storage) => {
    expect(await refusal(opening({ storage: storage as string }))).toEqual(refusedAs("ZOOID_INVALID_OPTION", { option: "storage" }));
  });

  test("a storage whose server speaks another version gets ProtocolVersionError at once", async () => {
    const between = await standBetween(world);
    const versions = { version: 1, supported: 2 };
    between.answer = (operation, bytes) => (operation === "register" ? wire.writeError(new ProtocolVersionError(versions)) : bytes);
    const begun = world.clock.now();
    expect(await refusal(opening({ transport: between.connect() }))).toEqual(refusedAs("ZOOID_PROTOCOL_VERSION", versions));
    expect(world.clock.now() - begun).toBeLessThan(1_000);
  });
});
