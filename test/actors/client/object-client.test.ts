import type { StandardSchemaV1 } from "@standard-schema/spec";
import { afterEach, describe, expect, test } from "vitest";
import { delay, limits, type Value } from "../../../core/index.js";
import { all, clientWorld, type ClientWorld } from "../../support/client-world.js";
import type { WorldOptions } from "../../support/server-world.js";

const worlds: ClientWorld[] = [];

async function world(options?: WorldOptions): Promise<ClientWorld> {
  const made = await clientWorld(options);
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const code = (code: string) => expect.objectContaining({ code });

describe("a read of a client", () => {
  test("comes from its cache until an invalidation arrives", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", { name: "X" }));
    expect(await run(b.read((tx) => tx.get("x")))).toMatchObject({ value: { name: "X" }, loads: 1 });
    expect(await run(b.read((tx) => tx.get("x")))).toMatchObject({ value: { name: "X" }, loads: 0, connected: true });
    expect(transport.count("load")).toBe(1);
    const { tid } = await run(a.update("x", (draft) => ({ ...(draft as object), name: "Y" })));
    expect(await run(b.read((tx) => tx.get("x"), { after: tid }))).toMatchObject({ value: { name: "Y" }, loads: 1, asOf: tid });
  });

  test("sees one snapshot, also when others commit meanwhile", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    await run(a.transact((tx) => Promise.all([tx.put("x", 1), tx.put("y", 1)])));
    const { value } = await run(
      b.read(async (tx) => {
        const x = await tx.get("x");
        await a.transact((other) => Promise.all([other.put("x", 2), other.put("y", 2)]));
        return [x, await tx.get("y"), await all(tx.list(""))];
      }),
    );
    expect(value).toEqual([
      1,
      1,
      [
        ["x", 1],
        ["y", 1],
      ],
    ]);
    expect(await run(b.getMany(["x", "y"]))).toEqual([2, 2]);
  });

  test("loads an object once for simultaneous reads, and many objects of one call together", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.transact((tx) => Promise.all([tx.put("x", 1), tx.put("y", 2)])));
    expect(await run(Promise.all([b.get("x"), b.get("x"), b.read((tx) => tx.get("x")).then(({ value }) => value)]))).toEqual([1, 1, 1]);
    expect(transport.count("load")).toBe(1);
    expect(await run(a.getMany(["x", "y", "none"]))).toEqual([1, 2, undefined]);
  });

  test("remembers absence, until the key is created", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    expect(await run(b.get("x"))).toBeUndefined();
    expect(await run(b.get("x"))).toBeUndefined();
    expect(transport.count("load")).toBe(1);
    const tid = await run(a.put("x", 1));
    expect((await run(b.read((tx) => tx.get("x"), { after: tid }))).value).toBe(1);
  });

  test("returns frozen values, and a copy of values that cannot be frozen", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    await run(client.put("x", { at: new Date(5), list: [1] }));
    const first = (await run(client.get("x"))) as unknown as { at: Date; list: number[] };
    first.at.setTime(9);
    expect(() => first.list.push(2)).toThrow(TypeError);
    expect(await run(client.get("x"))).toEqual({ at: new Date(5), list: [1] });
  });

  test("a listing is in the order of keys, includes own writes, and ends at its limit", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    await run(client.transact((tx) => Promise.all(["d", "b", "a", "c"].map((name) => tx.put(`k/${name}`, name)).concat(tx.put("l", 1)))));
    const { value } = await run(
      client.transact(async (tx) => {
        await tx.put("k/bb", "bb");
        await tx.delete("k/c");
        await tx.put("k/d", "dd");
        await tx.put("k/z", "z");
        return [await all(tx.list("k/")), await all(tx.list("k/", { after: "k/b", limit: 2 })), await all(tx.list("k/", { limit: 0 }))];
      }),
    );
    expect(value).toEqual([
      [
        ["k/a", "a"],
        ["k/b", "b"],
        ["k/bb", "bb"],
        ["k/d", "dd"],
        ["k/z", "z"],
      ],
      [
        ["k/bb", "bb"],
        ["k/d", "dd"],
      ],
      [],
    ]);
    expect(await run(all(client.list("k/c")))).toEqual([]);
  });

  test("a listing longer than a page is complete", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    const names = Array.from({ length: limits.listPageRowsMax * 2 + 5 }, (_, index) => `k/${String(index).padStart(5, "0")}`);
    await run(client.transact((tx) => Promise.all(names.map((name) => tx.put(name, name)))));
    expect((await run(all(client.list("k/")))).map(([key]) => key)).toEqual(names);
  });
});

describe("a transaction", () => {
  test("that wrote nothing sends nothing", async () => {
    const { open, run } = await world();
    const { client, transport } = await open("a");
    await run(client.get("x"));
    transport.requests.length = 0;
    const { tid } = await run(client.transact((tx) => tx.get("x")));
    expect(transport.requests).toEqual([]);
    expect(tid).toBe(client.position.tid);
  });

  test("that conflicts runs again on the conflicting revision", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    await run(a.put("n", 1));
    let runs = 0;
    await run(
      b.transact(async (tx) => {
        const n = (await tx.get("n")) as number;
        if (runs++ === 0) await a.put("n", 10);
        await tx.put("n", n + 1);
      }),
    );
    expect(runs).toBe(2);
    expect(await run(b.get("n"))).toBe(11);
  });

  test("gives up with ConflictError after attemptsMax", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    const losing = b.transact(
      async (tx) => {
        await tx.get("n");
        await a.update("n", (n) => ((n as number | undefined) ?? 0) + 1);
        await tx.put("n", -1);
      },
      { attemptsMax: 2 },
    );
    await expect(run(losing)).rejects.toEqual(code("ZOOID_CONFLICT"));
    expect(await run(a.get("n"))).toBe(2);
  });

  test("is serializable: absence and listed ranges are reads; under snapshot isolation they are not", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    const skew = (isolation: "serializable" | "snapshot", key: string) => {
      let runs = 0;
      return run(
        b.transact(
          async (tx) => {
            runs++;
            await tx.get(`${key}/absent`);
            await all(tx.list(`${key}/list/`));
            if (runs === 1) await a.put(`${key}/absent`, 1);
            if (runs === 2) await a.put(`${key}/list/1`, 1);
            await tx.put(`${key}/written`, runs);
          },
          { isolation },
        ),
      ).then(() => runs);
    };
    expect(await skew("serializable", "s")).toBe(3);
    expect(await skew("snapshot", "t")).toBe(1);
  });

  test("depends on a listing only as far as it took rows from it", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    await run(a.transact((tx) => Promise.all(["k/1", "k/3", "k/5"].map((key) => tx.put(key, key)))));
    const runsWith = async (created: string) => {
      let runs = 0;
      await run(
        b.transact(async (tx) => {
          for await (const [key] of tx.list("k/")) if (key === "k/3") break;
          if (runs++ === 0) await a.put(created, "new");
          await tx.put("done", runs);
        }),
      );
      return runs;
    };
    expect(await runsWith("k/4")).toBe(1);
    expect(await runsWith("k/2")).toBe(2);
  });

  test("reads its own writes, and begins no earlier than the client's last commit", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    const { value, tid } = await run(
      client.transact(async (tx) => {
        await tx.put("x", { n: 1 });
        await tx.update("x", (draft) => {
          if (draft !== undefined) (draft as { n: number }).n++;
        });
        await tx.delete("gone");
        return [await tx.get("x"), await tx.get("gone")];
      }),
    );
    expect(value).toEqual([{ n: 2 }, undefined]);
    expect(await run(client.read((tx) => tx.get("x")))).toMatchObject({ value: { n: 2 }, asOf: tid, loads: 0 });
  });

  test("that ended accepts no more calls", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    const { value: tx } = await run(client.transact((each) => [each]));
    await expect(tx[0]?.get("x")).rejects.toEqual(code("ZOOID_CLOSED"));
    await expect(tx[0]?.put("x", 1)).rejects.toEqual(code("ZOOID_CLOSED"));
  });

  test("is ended by its signal, by its time-out, and by an error of its function", async () => {
    const { open, run, clock } = await world();
    const { client } = await open("a");
    const reason = new Error("enough");
    await expect(run(client.transact(() => 1, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    const controller = new AbortController();
    const stopped = client.transact(
      async (tx) => {
        controller.abort(reason);
        await tx.put("x", 1);
      },
      { signal: controller.signal },
    );
    await expect(run(stopped)).rejects.toBe(reason);
    const late = client.transact(
      async (tx) => {
        await delay(clock, 11);
        await tx.put("x", 1);
        await tx.get("x");
      },
      { timeoutMs: 10 },
    );
    await expect(run(late)).rejects.toEqual(code("ZOOID_TIMEOUT"));
    await expect(run(client.transact(() => Promise.reject(reason)))).rejects.toBe(reason);
    expect(await run(client.get("x"))).toBeUndefined();
  });
});

describe("bad input", () => {
  test("is refused before anything is sent", async () => {
    const { open, run } = await world();
    const { client, transport } = await open("a");
    transport.requests.length = 0;
    const put = (key: string, value: unknown) => run(client.put(key, value as Value));
    await expect(put("", 1)).rejects.toEqual(code("ZOOID_INVALID_KEY"));
    await expect(put("x", () => 1)).rejects.toEqual(code("ZOOID_INVALID_VALUE"));
    await expect(put("x", undefined)).rejects.toEqual(code("ZOOID_INVALID_VALUE"));
    await expect(put("x", new Uint8Array(limits.messageBytesMax))).rejects.toEqual(code("ZOOID_TOO_LARGE"));
    const many = client.transact(async (tx) => {
      for (let index = 0; index < 5; index++) await tx.put(`x${index}`, new Uint8Array(limits.messageBytesMax / 4));
    });
    await expect(run(many)).rejects.toEqual(code("ZOOID_TOO_LARGE"));
    await expect(run(client.get("\0"))).rejects.toEqual(code("ZOOID_INVALID_KEY"));
    expect(transport.requests).toEqual([]);
  });

  test("the largest accepted value can be loaded and listed under the longest key", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    const { client: reader } = await open("b");
    const [key, next] = ["k".repeat(limits.keyBytesMax), "l".repeat(limits.keyBytesMax)];
    await run(client.put(next, 1));
    // With a header of five bytes, the encoded value has valueBytesMax bytes.
    const put = (bytes: number) => run(client.put(key, new Uint8Array(bytes - 5)));
    await expect(put(limits.valueBytesMax + 1)).rejects.toEqual(code("ZOOID_TOO_LARGE"));
    await put(limits.valueBytesMax);
    expect((await run(all(reader.list("")))).map(([each]) => each)).toEqual([key, next]);
    expect(await run(reader.get(key))).toHaveLength(limits.valueBytesMax - 5);
  });

  test("the error names each wrong option", async () => {
    const { open } = await world();
    const wrong = (options: object) => expect(open("a", options)).rejects;
    await wrong({ client: "a b" }).toMatchObject({ facts: { option: "client" } });
    await wrong({ waitTimeoutMs: -1 }).toMatchObject({ facts: { option: "waitTimeoutMs" } });
    await wrong({ onOtherHistory: "ask" }).toMatchObject({ facts: { option: "onOtherHistory" } });
    await wrong({ schemas: { "x/*": {} } }).toMatchObject({ facts: { option: 'schemas["x/*"]' } });
  });

  test("a value that its schema refuses is SchemaError, also from an asynchronous validator", async () => {
    const validator = (asynchronous: boolean): StandardSchemaV1<unknown, Value> => ({
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => {
          const result = typeof value === "number" ? { value: value * 2 } : { issues: [{ message: "is no number", path: ["n"] }] };
          return asynchronous ? Promise.resolve(result) : result;
        },
      },
    });
    const { open, run } = await world();
    const { client } = await open("a", { schemas: { "s/*": validator(false), "s/exact": validator(true) } });
    await expect(run(client.put("s/x", "no"))).rejects.toMatchObject({
      code: "ZOOID_SCHEMA",
      facts: { key: "s/x", reason: "n: is no number" },
    });
    await expect(run(client.put("s/exact", "no"))).rejects.toEqual(code("ZOOID_SCHEMA"));
    await run(client.transact((tx) => Promise.all([tx.put("s/x", 1), tx.put("s/exact", 2), tx.put("free", "yes")])));
    expect(await run(client.getMany(["s/x", "s/exact", "free"]))).toEqual([2, 4, "yes"]);
  });

  test("a read-only client does not write, a closed one does nothing", async () => {
    const { open, run } = await world();
    const { client } = await open("a", { readOnly: true });
    expect(client.state).toBe("readOnly");
    await expect(run(client.put("x", 1))).rejects.toEqual(code("ZOOID_READ_ONLY"));
    expect(await run(client.get("x"))).toBeUndefined();
    await run(client.close());
    await run(client.close());
    expect(client.state).toBe("closed");
    await expect(run(client.get("x"))).rejects.toEqual(code("ZOOID_CLOSED"));
    await expect(run(client.transact(() => 1))).rejects.toEqual(code("ZOOID_CLOSED"));
  });
});

describe("a watcher", () => {
  test("gets each change under its prefix, made by any client", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    const controller = new AbortController();
    const changes = b.watch("k/", { signal: controller.signal });
    const first = await run(a.transact((tx) => Promise.all([tx.put("k/1", 1), tx.put("l/1", 1)])));
    const second = await run(b.delete("k/1"));
    expect(await run(changes.next())).toEqual({ done: false, value: { type: "changed", key: "k/1", tid: first.tid } });
    expect(await run(changes.next())).toEqual({ done: false, value: { type: "changed", key: "k/1", tid: second } });
    const waiting = changes.next();
    controller.abort();
    expect(await run(waiting)).toEqual({ done: true, value: undefined });
  });

  test("that does not keep up gets one event that anything may have changed", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    const changes = client.watch("k/");
    const keys = Array.from({ length: limits.watchBufferMax + 1 }, (_, index) => `k/${index}`);
    await run(client.transact((tx) => Promise.all(keys.map((key) => tx.put(key, 1)))));
    expect(await run(changes.next())).toEqual({ done: false, value: { type: "reset" } });
    await run(client.close());
    expect(await run(changes.next())).toEqual({ done: true, value: undefined });
  });
});
