import { afterEach, describe, expect, test } from "vitest";
import { operations, type Operation } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { newSecret, publicId, seededRandom, type Tid, ZooidError } from "../../../core/index.js";
import { serverWorld, type ServerWorld, type WorldOptions } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";
import { WireClient } from "../../support/wire-client.js";

const servers: ServerWorld[] = [];

async function world(options?: WorldOptions): Promise<ServerWorld> {
  const made = await serverWorld(options);
  servers.push(made);
  return made;
}

afterEach(() => {
  for (const { server } of servers.splice(0)) server.kill();
});

/** Request of each operation with the secret `session`, about the transaction `id`. */
const requests: { readonly [Name in Exclude<Operation, "register" | "writer">]: (session: string, id: string, tid: Tid) => Uint8Array } = {
  verify: (session, _, tid) => {
    const position = { tid, digest: "0".repeat(16) };
    return wire.verify.write({ session, position, asOf: position });
  },
  log: (session, _, tid) => wire.logRequest.write({ session, after: tid }),
  keys: (session, _, tid) => wire.keysRequest.write({ session, tid, from: 0 }),
  load: (session, _, snapshot) => wire.load.write({ session, snapshot, keys: ["a"] }),
  list: (session, _, snapshot) => wire.list.write({ session, snapshot, range: { from: "a", to: undefined }, rowsMax: 10 }),
  commit: (session, id, snapshot) => wire.commit.write({ session, id, snapshot, serializable: true, reads: [], ranges: [], writes: [] }),
  vote: (session, id, snapshot) => wire.commit.write({ session, id, snapshot, serializable: true, reads: [], ranges: [], writes: [] }),
  finish: (session, id) => wire.finish.write({ session, id }),
  abort: (session, id) => wire.finish.write({ session, id }),
  settle: (session, id, snapshot) => wire.settle.write({ session, id, snapshot }),
  alive: (session) => wire.alive.write({ session, oldestSnapshot: undefined }),
  bye: (session) => wire.session.write({ session }),
  status: (session) => wire.session.write({ session }),
};
const asked = Object.keys(requests) as (keyof typeof requests)[];
const writing = new Set(["commit", "vote", "finish", "abort", "settle"]);

/** An owner with a voted transaction, and a stranger that knows all that the server shows of it. */
async function voted() {
  const made = await world();
  const owner = await made.client("owner");
  await owner.vote({ id: "voted", writes: { a: "1" } });
  const status = made.server.status("main");
  const [session] = status.sessions;
  const [transaction] = status.openTransactions;
  if (session === undefined || transaction === undefined) throw new Error("the status lacks what the owner has");
  const stranger = new WireClient(made.broker.connect(), "test", "main");
  const ask = async (operation: Operation, payload: Uint8Array) => {
    const answer = await stranger.raw(operation, payload);
    if (answer[0] === 0) return "done";
    try {
      return wire.readAnswer(wire.nothing, answer);
    } catch (error) {
      return error instanceof ZooidError ? error.code : error;
    }
  };
  return { ...made, owner, stranger, session: session.session, transaction: transaction.id, ask };
}

describe("the information that a server shows about a client", () => {
  test("contains no secret of it: the status, a registration, an error", async () => {
    const { owner, server, stranger, session, transaction } = await voted();
    const secrets = [owner.session, owner.clientSecret];
    const shown = JSON.stringify([server.status("main"), owner.registered]);
    for (const secret of secrets) expect(shown).not.toContain(secret);
    expect(session).toBe(publicId(owner.session));
    expect(transaction).toBe(owner.id("voted"));
    await stranger.register();
    await owner.bye();
    await expect(owner.alive()).rejects.toMatchObject({ code: "ZOOID_UNKNOWN_SESSION", facts: { session } });
  });

  test.each(asked)("does not let another client %s in its place", async (operation) => {
    const { owner, stranger, session, transaction, ask } = await voted();
    await stranger.register({ client: "stranger" });
    const request = requests[operation];
    const { tid } = stranger.registered.position;
    expect(await ask(operation, request(session, transaction, tid))).toBe("ZOOID_UNKNOWN_SESSION");
    await owner.finish("voted");
  });
});

describe.each(["writer", "reader", "none"] as const)("a stranger that has the session of a %s", (kind) => {
  test.each(asked)("does not touch the voted transaction of another by %s", async (operation) => {
    const { owner, stranger, transaction, ask, disk } = await voted();
    await stranger.register({ client: "stranger", readOnly: kind === "reader" });
    const { writes } = disk;
    const { tid } = stranger.registered.position;
    const request = requests[operation];
    const secret = kind === "none" ? newSecret(seededRandom(1)) : stranger.session;
    const refused = kind === "reader" ? "ZOOID_READ_ONLY" : "ZOOID_NOT_OWNER";
    const expected =
      kind === "none" ? "ZOOID_UNKNOWN_SESSION" : writing.has(operation) ? refused : expect.not.stringMatching(/NOT_OWNER|UNKNOWN/);
    expect(await ask(operation, request(secret, transaction, tid))).toEqual(expected);
    expect(disk.writes).toBe(writes);
    expect(await owner.finish("voted")).toMatchObject({ tid: expect.any(Number) as number });
  });
});

describe("a client", () => {
  test("settles, finishes and aborts what it sent in an earlier session", async () => {
    const { client } = await world();
    const before = await client("owner");
    for (const id of ["settled", "finished", "aborted"]) await before.vote({ id, writes: { [id]: "1" } });
    const again = await client("owner", before.clientSecret);
    expect(await again.finish("finished")).toMatchObject({ tid: expect.any(Number) as number });
    await again.abort("aborted");
    expect(await again.settle("settled")).toEqual({ committed: undefined });
    await expect(before.finish("settled")).rejects.toMatchObject({ code: "ZOOID_TRANSACTION_ABORTED" });
  });

  test("settles after a restart of its server, and after its own restart if it kept its secret", async () => {
    const { client, server, restart } = await world();
    const before = await client("owner");
    const committed = await before.commit({ id: "t", writes: { a: "1" } });
    await server.close();
    await restart();
    const again = await client("owner", before.clientSecret);
    expect(await again.settle("t")).toEqual({ committed });
    await expect(
      (await client("owner")).ask("settle", wire.settle, wire.settled, {
        session: again.session,
        id: "other-t",
        snapshot: 0 as Tid,
      }),
    ).rejects.toMatchObject({ code: "ZOOID_NOT_OWNER" });
  });

  test("that sends its registration twice has one session, and no other client can use its secret", async () => {
    const { broker, client, server } = await world();
    const owner = await client("owner");
    const register = (name: string, clientSecret: string) =>
      broker
        .connect()
        .request(
          "zooid.test.storage.main.register",
          wire.register.write({
            protocol: 1,
            client: name,
            readOnly: false,
            clientSecret,
            sessionSecret: owner.session,
            oldestSnapshot: undefined,
          }),
          { timeoutMs: 1_000 },
        )
        .then((answer) => wire.readAnswer(wire.registered, answer));
    expect(await register("owner", owner.clientSecret)).toEqual(owner.registered);
    expect(server.status("main").sessions).toHaveLength(1);
    await expect(register("owner", newSecret(seededRandom(2)))).rejects.toMatchObject({ code: "ZOOID_MALFORMED_MESSAGE" });
    await expect(register("other", owner.clientSecret)).rejects.toMatchObject({ code: "ZOOID_MALFORMED_MESSAGE" });
  });
});

describe("the fences of one session", () => {
  test("are bounded, from settlements and from aborted votes, and allowed again with time", async () => {
    const { client, server, clock } = await world({ fencesPerSessionMax: 10 });
    const [owner, other] = [await client("owner"), await client("other")];
    const busy = { code: "ZOOID_SERVER_BUSY", transient: true, facts: { what: "fences of this session", countMax: 10 } };
    for (let n = 0; n < 5; n++) await owner.settle(`settled-${n}`);
    for (let n = 0; n < 5; n++) {
      await owner.vote({ id: `aborted-${n}`, writes: { a: "1" } });
      await owner.abort(`aborted-${n}`);
    }
    await expect(owner.settle("more")).rejects.toMatchObject(busy);
    await expect(owner.vote({ id: "more", writes: { a: "1" } })).rejects.toMatchObject(busy);
    expect(server.status("main").counters["fences"]).toBe(10);
    await owner.commit({ writes: { a: "1" } });
    await owner.settle("settled-0");
    await other.settle("settled");
    for (let waited = 0; waited < 60; waited += 5) {
      await clock.advance(5_000);
      await owner.alive();
    }
    await owner.settle("more");
  });

  test("are bounded for commits that wait for held objects and end with the session, even when they arrive together", async () => {
    const { client, server, settled } = await world({ fencesPerSessionMax: 10 });
    const [holder, owner] = [await client("holder"), await client("owner")];
    await holder.vote({ id: "holding", writes: { held: "1" } });
    const waiting = Array.from({ length: 15 }, (_, n) => watched(owner.commit({ id: `waiting-${n}`, writes: { held: `${n}` } })));
    await settled();
    expect(waiting.filter(({ state }) => state === "waiting")).toHaveLength(10);
    expect(waiting.at(-1)?.error).toMatchObject({ code: "ZOOID_SERVER_BUSY", facts: { what: "fences of this session" } });
    await owner.bye();
    await settled();
    expect(server.status("main").counters["fences"]).toBe(10);
  });

  test("are not written for commits that were in the queue when the session ended", async () => {
    const { client, server, settled, disk } = await world({ fencesPerSessionMax: 10 });
    const [holder, owner] = [await client("holder"), await client("owner")];
    await holder.vote({ id: "holding", writes: { held: "1" } });
    disk.held = true;
    const first = holder.commit({ writes: { other: "1" } });
    await settled();
    const waiting = Array.from({ length: 15 }, (_, n) => watched(owner.commit({ id: `waiting-${n}`, writes: { held: `${n}` } })));
    await settled();
    await owner.bye();
    disk.held = false;
    disk.next().finish();
    await first;
    await settled();
    for (const { error } of waiting) expect(error).toMatchObject({ code: "ZOOID_TRANSACTION_ABORTED" });
    expect(server.status("main").counters).toMatchObject({ fences: 0, openTransactions: 1 });
  });

  test("are not used up by transactions that need no fence", async () => {
    const { client, server, settled } = await world({ fencesPerSessionMax: 2 });
    const [holder, owner] = [await client("holder"), await client("owner")];
    for (let n = 0; n < 10; n++) {
      await holder.vote({ id: `holding-${n}`, writes: { held: "1" }, snapshot: server.status("main").position.tid });
      const waiting = owner.commit({ id: `waiting-${n}`, writes: { other: "1", held: "2" }, snapshot: server.status("main").position.tid });
      const conflict = expect(waiting).rejects.toMatchObject({ code: "ZOOID_CONFLICT" });
      await settled();
      await holder.finish(`holding-${n}`);
      await conflict;
    }
    expect(server.status("main").counters["fences"]).toBe(0);
  });
});

test("every operation with a session is covered here", () => {
  const others = new Set<string>(["register", "writer"]);
  expect(asked).toEqual(operations.filter((operation) => !others.has(operation)));
});
