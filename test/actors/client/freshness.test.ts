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
  test("counts from the request to the server, so late heartbeats do not make a snapshot look newer", async () => {
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
    const read = await run(b.read((tx) => tx.get("x"), { maxStaleMs: 1_000 }));
    expect(read).toMatchObject({ value: 2, connected: true });
  });

  test("costs one request for all waiting reads when the last request is older, and none without the option", async () => {
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

  test("ignores an answer whose request is too old", async () => {
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
