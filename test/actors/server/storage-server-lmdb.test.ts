import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { startStorageServer } from "../../../actors/server/server.js";
import { createActorSystem } from "../../../actors/system/actor-system.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { createBroker } from "../../../transport/in-process.js";
import { publicId, InUseError, silentLog, systemRandom, systemClock, type Tid } from "../../../core/index.js";
import { textOf, WireClient } from "../../support/wire-client.js";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function setup() {
  const folder = await mkdtemp(join(tmpdir(), "zooid-server-"));
  folders.push(folder);
  const broker = createBroker();
  const system = createActorSystem({ realm: "test", transport: broker.connect(), clock: systemClock, random: systemRandom });
  const start = (realm = "test") =>
    startStorageServer({
      realm,
      storages: { main: { open: () => openLmdbStore({ folder }) } },
      transport: broker.connect(),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      system: realm === "test" ? system : undefined,
    });
  const connect = async (clientSecret?: string) => {
    const client = new WireClient(broker.connect(), "test", "main", clientSecret);
    await client.register({ client: "alice" });
    return client;
  };
  return { system, start, connect };
}

describe("a storage server on LMDB", () => {
  test("keeps acknowledged commits across a restart, with their history and outcomes", async () => {
    const { start, connect } = await setup();
    const server = await start();
    const client = await connect();
    let snapshot = client.registered.position.tid;
    for (let round = 0; round < 5; round++)
      ({ tid: snapshot } = await client.commit({ id: `t${round}`, snapshot, writes: { a: String(round) } }));
    const many = await Promise.all(Array.from({ length: 200 }, (_, index) => client.commit({ snapshot, writes: { [`k/${index}`]: "x" } })));
    const chain = client.invalidated;
    for (const [index, { previous }] of chain.entries()) expect(previous).toBe(chain[index - 1]?.tid ?? 0);
    expect(chain.slice(5).map(({ tid }) => tid)).toEqual(many.map(({ tid }) => tid));
    await server.close();

    const again = await start();
    const next = await connect(client.clientSecret);
    const { position } = next.registered;
    expect(position.tid).toBe(chain.at(-1)?.tid);
    const at = (chain[1]?.tid ?? 0) as Tid;
    expect(textOf((await next.load(at, "a")).revisions[0]?.value)).toBe("1");
    expect((await next.settle("t3", at)).committed?.tid).toBe(chain[3]?.tid);
    expect((await next.list(position.tid, { from: "k/", to: "k0" })).rows).toHaveLength(200);
    await again.close();
  });

  test("does not share its folder with another server, even of another realm", async () => {
    const { start } = await setup();
    const server = await start();
    await expect(start("elsewhere")).rejects.toThrow(InUseError);
    await server.close();
    await (await start("elsewhere")).close();
  });

  test("shows its machines through the actor system, and prunes on request", async () => {
    const { system, start, connect } = await setup();
    const server = await start();
    const client = await connect();
    const paths = (await system.list(100)).map(({ path, value }) => `${path} ${JSON.stringify(value)}`);
    expect(paths.sort()).toEqual([
      'server/main/group-commit "idle"',
      'server/main/pruning "idle"',
      `server/main/session/${publicId(client.session)} "live"`,
    ]);
    await system.remote("server/main/pruning").send({ type: "PRUNE" });
    await expect(system.remote("server/main/group-commit").send({ type: "CLOSE" })).rejects.toMatchObject({ code: "ZOOID_NOT_ACCEPTED" });
    await client.bye();
    await expect(system.remote(`server/main/session/${publicId(client.session)}`).snapshot()).rejects.toMatchObject({
      code: "ZOOID_NO_ACTOR",
    });
    await server.close();
    expect(await system.list(100)).toEqual([]);
    system.close();
  });
});
