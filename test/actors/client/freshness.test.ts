import { afterEach, describe, expect, test } from "vitest";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";

const worlds: ClientWorld[] = [];

async function world(): Promise<ClientWorld> {
  const made = await clientWorld();
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

describe("maxStaleMs", () => {
  test("counts from when the server was asked: heartbeats that are late make no picture newer than it is", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    transport.takes = (_, deliver) => {
      clock.setTimeout(deliver, 2_000);
      return false;
    };
    await clock.advance(10_200);
    await run(a.put("x", 2));
    await clock.advance(1_500);
    const told = await run(b.read((tx) => tx.get("x"), { maxStaleMs: 1_000 }));
    expect(told).toMatchObject({ value: 2, connected: true });
  });

  test("costs a message when the server was last asked longer ago, one for all who wait, and none without it", async () => {
    const { open, run, clock } = await world();
    const { client, transport } = await open("a");
    await run(client.put("x", 1));
    const count = () => transport.count("alive");
    await clock.advance(5_500);
    const kept = count();
    await run(client.read((tx) => tx.get("x")));
    await run(client.read((tx) => tx.get("x"), { maxStaleMs: 1_000 }));
    expect(count()).toBe(kept);
    await clock.advance(1_000);
    const read = () => client.read((tx) => tx.get("x"), { maxStaleMs: 1_000 });
    await run(Promise.all(Array.from({ length: 10 }, read)));
    expect(count()).toBe(kept + 1);
    await clock.advance(500);
    await run(read());
    expect(count()).toBe(kept + 1);
  });

  test("does not count a question that was asked too long ago, though it is answered now", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    transport.takes = () => false;
    let release = () => {};
    transport.heldAnswers.set("alive", new Promise((resolve) => (release = resolve)));
    await clock.advance(1_000);
    const first = b.read((tx) => tx.get("x"), { maxStaleMs: 500 });
    await clock.advance(1_000);
    await run(a.put("x", 2));
    transport.heldAnswers.clear();
    const second = b.read((tx) => tx.get("x"), { maxStaleMs: 500 });
    release();
    expect((await run(second)).value).toBe(2);
    await run(first);
  });
});
