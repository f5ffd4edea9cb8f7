/** One commit, and one invalidation, followed from the place where it begins to every cache. */
import { expect, onTestFinished, test } from "vitest";
import { openObjectClient } from "../../../actors/client/object-client.js";
import { startStorageServer } from "../../../actors/server/server.js";
import { createActorSystem } from "../../../actors/system/actor-system.js";
import { createCache } from "../../../cache.js";
import { seededRandom, silentLog } from "../../../core/index.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/index.js";
import { TestDisk } from "../../support/server-world.js";
import { watched } from "./watched.js";

let seed = 100;

function world() {
  const clock = new SimulatedClock();
  const broker = createBroker({ clock });
  const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
  const seams = () => ({ realm: "zooid", clock, random: seededRandom(++seed), log: silentLog, transport: broker.connect() });
  const watching = () => {
    const system = createActorSystem(seams());
    onTestFinished(() => system.close());
    return watched(system);
  };
  const serve = () => {
    const own = seams();
    return run(startStorageServer({ ...own, system: createActorSystem(own), storages: { main: { open: new TestDisk("main").open } } }));
  };
  const open = async (client: string) => {
    const own = seams();
    const opened = await run(
      openObjectClient({ ...own, system: createActorSystem(own), storage: "main", client, cache: undefined, waitTimeoutMs: 5_000 }),
    );
    onTestFinished(() => opened.kill());
    return opened;
  };
  return { clock, broker, run, seams, watching, serve, open };
}

test("a commit is followed from its client through the server to every client's cache", async () => {
  const { clock, run, watching, serve, open } = world();
  await serve();
  const [a, b] = [await open("a"), await open("b")];
  await run(a.put("before", 1));
  const { model, actors } = watching();
  await clock.advance(100);
  const tid = await run(a.transact((tx) => void [tx.put("x", 1), tx.put("y", 2)]));
  await clock.advance(1_500);
  expect(model.commits.size).toBe(1);
  const trail = model.commits.withNumber("main", a.position.tid);
  expect(trail).toMatchObject({ kind: "commit", of: "main", by: "client/a", size: 2 });
  expect(trail?.refused).toBeUndefined();
  expect(trail).toBe(model.commits.withId(trail?.id ?? ""));
  expect([...(trail?.places.keys() ?? [])].toSorted()).toEqual(["client/a", "client/b"]);
  expect([trail?.beganAt, trail?.writtenAt, trail?.confirmedAt].every((at) => typeof at === "number")).toBe(true);
  expect(tid).toBeDefined();
  expect(b.position.tid).toBe(trail?.number);
  expect(actors().find(({ path }) => path === "server/main/group-commit")?.shown).toMatchObject({ commits: 2, tid: a.position.tid });
});

test("a commit that conflicts is refused in the record, with the code of its error", async () => {
  const { clock, run, watching, serve, open } = world();
  await serve();
  const [a, b] = [await open("a"), await open("b")];
  await run(a.put("x", 0));
  await clock.advance(1_000);
  let tries = 0;
  const { model } = watching();
  await clock.advance(100);
  const conflicting = b.transact(async (tx) => {
    await tx.get("x");
    if (tries++ === 0) await a.put("x", 1);
    await tx.put("x", 2);
  });
  await run(conflicting);
  await clock.advance(100);
  const refused = [...model.commits].filter((trail) => trail.refused !== undefined);
  expect(refused).toMatchObject([{ by: "client/b", of: "main", refused: "ZOOID_CONFLICT" }]);
  expect(refused[0]?.number).toBeUndefined();
  expect(model.counts).toMatchObject({ commits: 2, refused: 1 });
});

test("an invalidation is followed from its node to every node", async () => {
  const { clock, broker, watching } = world();
  const nodes = await Promise.all(
    ["a", "b", "c"].map((node, index) => createCache({ transport: broker.connect(), node, clock, random: seededRandom(900 + index) })),
  );
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.close()))));
  await clock.until(() => nodes.every((node) => node.stats().bus?.type === "following"), 5_000);
  const { model, actors } = watching();
  await clock.advance(100);
  await clock.settle(nodes[0]?.invalidate("city:7") ?? Promise.reject(new Error("there is a node")), 1_000);
  await clock.advance(1_500);
  const [trail] = [...model.invalidations].filter(({ of }) => of === "city:7");
  expect(trail).toMatchObject({ kind: "invalidation", by: "cache/a", of: "city:7" });
  expect(trail?.number).toBeGreaterThan(0);
  expect([...(trail?.places.keys() ?? [])].toSorted()).toEqual(["cache/a", "cache/b", "cache/c"]);
  expect(actors().find(({ path }) => path === "cache/a/pruning")?.shown).toMatchObject({ invalidations: 1, hits: 0 });
});

test("without a watcher no note is made", async () => {
  const { clock, broker, run, serve, open } = world();
  await serve();
  const client = await open("a");
  let frames = 0;
  broker.connect().subscribe("zooid.zooid.record.*", () => frames++);
  await run(client.put("x", 1));
  await clock.advance(1_000);
  expect(frames).toBe(0);
});
