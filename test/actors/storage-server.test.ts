import { describe, expect, test } from "vitest";
import { ConflictError } from "../../words/index.js";
import { serverWorld } from "../server-world.js";
import { textOf } from "../wire-client.js";

describe("a storage server", () => {
  test("commits what was written, and loads it", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const { position } = client.registered;
    expect(await client.verify(position)).toEqual({ type: "upToDate", position });

    const committed = await client.commit({ writes: { a: "1", b: "2" } });
    expect(committed.previous).toBe(0);
    const loaded = await client.load(committed.tid, "a", "b", "c");
    expect(loaded.asOf).toEqual({ tid: committed.tid, digest: committed.digest });
    expect(loaded.revisions.map(({ serial, value }) => [serial, textOf(value)])).toEqual([
      [committed.tid, "1"],
      [committed.tid, "2"],
      [0, undefined],
    ]);
    expect(client.invalidated).toEqual([{ ...committed, keyCount: 2, keys: ["a", "b"] }]);
  });

  test("refuses to lose an update", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const { tid: snapshot } = await client.commit({ writes: { a: "0" } });
    await client.commit({ snapshot, writes: { a: "1" } });
    await expect(client.commit({ snapshot, writes: { a: "2" } })).rejects.toThrow(ConflictError);
  });
});
