/** Bad messages on every subject of a storage server, over a real broker, with its data on a real disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import { createActorSystem } from "../../../actors/index.js";
import { type Commit, operations, storagesSubject, storageSubjects } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { actorView } from "../../../actors/protocol/actor-messages.js";
import { connect } from "../../../index.js";
import { openLmdbStore, startStorageServer } from "../../../server.js";
import { connectNats } from "../../../transport/index.js";
import {
  type Random,
  encodeValue,
  InternalError,
  seededRandom,
  silentLog,
  systemRandom,
  systemClock,
  type Tid,
  tidZero,
  ZooidError,
  newSecret,
} from "../../../core/index.js";
import { startNatsServer } from "../../support/nats-server.js";
import { until } from "../../support/until.js";
import { WireClient } from "../../support/wire-client.js";
import { below, mutated, oneOf, tooMuch } from "./mutations.js";

const messages = 20_000;
const inFlight = 200;
/**
 * Growth allowed between the first quarter of the messages and the last, after garbage collection, in the process that
 * holds server, clients and test.
 */
const memoryGrowthBytesMax = 12 * 1024 * 1024;
const realm = "fuzz";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const undo: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

describe("a storage server that receives bad messages over NATS", () => {
  const seed = Number(process.env["ZOOID_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

  test(`answers each, writes only commits that it acknowledged, and goes on (ZOOID_FUZZ_SEED=${seed} replays it)`, async () => {
    const setup = await startPlace(seed);
    const { server, witness, sender, subjects } = setup;
    const facts = new LiveFacts(server.instance, sender);
    await facts.register();

    const answered = new Map<string, number>();
    const count = (what: string) => answered.set(what, (answered.get(what) ?? 0) + 1);
    const send = async (index: number): Promise<void> => {
      const random = seededRandom(seed ^ Math.imul(index + 1, 0x9e3779b1));
      const { name, subject, good, answer } = oneOf(random, subjects)(facts, random);
      // A copy, since a view that is kept would keep the encoder's whole block alive.
      const payload = Buffer.from(below(random, 500) === 0 ? tooMuch(random) : below(random, 8) === 0 ? good : mutated(good, random));
      const where = `message ${index} (${name})`;
      if (answer === undefined || below(random, 10) === 0) {
        // A message that looks like one of the server's own cannot be recognised as bad input.
        if (payload.length <= sender.payloadBytesMax && !isOfServer(payload, server.instance)) sender.publish(subject, payload);
        return;
      }
      facts.sends(name, payload);
      const bytes = await sender.request(subject, payload, { timeoutMs: 10_000 }).catch((error: unknown) => {
        throw new Error(`${where} has no answer`, { cause: error });
      });
      try {
        facts.hears(name, payload, wire.readAnswer(answer, bytes));
        count("done");
      } catch (error) {
        expect(error, where).toBeInstanceOf(ZooidError);
        expect(error, where).not.toBeInstanceOf(InternalError);
        expect(bytes.length, where).toBeLessThan(2_000);
        count((error as ZooidError).code);
        facts.refused(name, payload);
        if ((error as ZooidError).code === "ZOOID_UNKNOWN_SESSION") await facts.register();
      }
    };

    let next = 0;
    const worker = async (end: number) => {
      while (next < end) await send(next++);
    };
    const serving = async (end: number) => {
      for (let round = 0; next < end; round++) {
        await witness.put("witness", round);
        expect(await witness.get("witness")).toBe(round);
        expect(await witness.get("untouched")).toBe("as it was");
      }
    };
    const sendUpTo = (end: number) => Promise.all([serving(end), ...Array.from({ length: inFlight }, () => worker(end))]);
    // Buffers grow during the first quarter, and keep their size after that.
    await sendUpTo(messages / 4);
    const memoryBefore = memory();
    await sendUpTo(messages);

    // Each message was answered, most of them with an error.
    expect(answered.get("ZOOID_MALFORMED_MESSAGE")).toBeGreaterThan(messages / 4);
    expect(answered.get("done")).toBeGreaterThan(messages / 50);
    expect(setup.loud, "nothing is logged as an error").toEqual([]);
    expect(setup.fatal).toEqual([]);

    // The stored objects are those that the committed transactions wrote, in their order, and nothing else.
    await witness.put("witness", "last");
    const { position } = await facts.wire.alive();
    const rows = await allRows(facts.wire, position.tid);
    for (const key of ["witness", "untouched"]) expect(rows.delete(key)).toBe(true);
    expect(rows).toEqual(facts.model());
    expect(await witness.get("untouched")).toBe("as it was");
    // The server may still be writing the fence of a voted transaction that was not finished.
    await until(() => server.status("main").machines["group-commit"] === "idle");

    expect(memory() - memoryBefore).toBeLessThan(memoryGrowthBytesMax);
  }, 60_000);
});

interface Aim {
  readonly name: string;
  readonly subject: string;
  readonly good: Uint8Array;
  /** Undefined: the subject gives no answers. */
  readonly answer: wire.Codec<unknown> | undefined;
}

type AimAt = (facts: LiveFacts, random: Random) => Aim;

const view: wire.Codec<unknown> = {
  write: () => new Uint8Array(),
  read: (bytes) => (bytes.length === 1 ? wire.nothing : actorView).read(bytes),
};

/** Every subject that a server subscribes to, each with a good message for it. */
function aimsAt(instance: string): readonly AimAt[] {
  const storage = storageSubjects(realm, "main");
  const operation = operations.map((name): AimAt => (facts, random) => {
    const [good, answer] = facts.request(name, random);
    return { name, subject: storage.operation(instance, name), good, answer };
  });
  const at = (name: string, subject: string, answer: wire.Codec<unknown> | undefined, ...good: Uint8Array[]): AimAt => {
    return (_, random) => ({ name, subject, good: oneOf(random, good), answer });
  };
  const events = ["view", "watch"].map((type) => encodeValue([type]));
  const sent = encodeValue(["take", "r", false, "", 0, { type: "PRUNE" }, null, 1]);
  const position = { tid: 5 as Tid, digest: "0".repeat(16) };
  const broadcasts = [
    wire.broadcast.write({ type: "heartbeat", instance: "other", startedAt: 1, links: 0, readOnly: false, role: "writer", position }),
    wire.broadcast.write({
      type: "invalidations",
      instance,
      transactions: [{ ...position, previous: tidZero, keyCount: 1, keys: ["untouched"] }],
    }),
    wire.broadcast.write({ type: "goodbye", instance }),
  ];
  return [
    ...operation,
    // Operations that write are sent more often.
    ...operation.slice(6, 11),
    (facts, random) => ({
      name: "register",
      subject: storage.register,
      good: facts.request("register", random)[0],
      answer: wire.registered,
    }),
    at("writer", storage.writer, wire.writer, wire.challenge.write({ nonce: "1" })),
    at("storages", storagesSubject(realm), wire.storages, wire.nothing.write({})),
    at("explode", `${storage.operation(instance, "*").slice(0, -1)}explode`, wire.nothing, wire.nothing.write({})),
    at("invalidations", storage.invalidations, undefined, ...broadcasts),
    at("pruning", `zooid.${realm}.actor.server.main.pruning`, view, ...events, sent),
    at("group-commit", `zooid.${realm}.actor.server.main.group-commit`, view, ...events, sent),
    at("actors", `zooid.${realm}.actors`, undefined, encodeValue(["answers"])),
    at(
      "view",
      `zooid.${realm}.view.server.main.pruning`,
      undefined,
      encodeValue(["server/main/pruning", "pruning", "active", "idle", {}, 1, "r", 1]),
    ),
  ];
}

/** The facts that a sender of good messages needs, and the outcomes of its transactions. */
class LiveFacts {
  readonly wire: WireClient;
  readonly #instance: string;
  /** Commits by id, in the order of sending, since a changed copy may have the same id. Refused ones are removed. */
  readonly #sent = new Map<string, { readonly payload: Uint8Array; readonly commit: Commit }[]>();
  readonly #committed = new Map<Tid, string>();
  readonly #voted: string[] = [];
  readonly #copies: Uint8Array[] = [];
  #registering: Promise<unknown> | undefined;

  constructor(instance: string, sender: ConstructorParameters<typeof WireClient>[0]) {
    this.#instance = instance;
    this.wire = new WireClient(sender, realm, "main");
  }

  get session(): string {
    return this.wire.session;
  }

  /** Callers that find the session gone at the same time share one registration. */
  async register(): Promise<void> {
    this.#registering ??= this.wire.register({ client: "fuzz" }).finally(() => (this.#registering = undefined));
    await this.#registering;
  }

  request(operation: (typeof operations)[number], random: Random): readonly [Uint8Array, wire.Codec<unknown>] {
    const session = below(random, 20) === 0 ? oneOf(random, ["foreign", "0123456789abcdef", this.#instance]) : this.session;
    const { position } = this.wire.registered;
    const snapshot = oneOf(random, [position.tid, position.tid, position.tid, tidZero, (position.tid + 1e9) as Tid]);
    const key = () => `noise/${below(random, 200)}`;
    const newId = () => this.wire.id(random.id());
    const id = oneOf(random, [newId(), this.#voted.at(-1 - below(random, 5)) ?? newId()]);
    switch (operation) {
      case "register": {
        const [clientSecret, sessionSecret] = [newSecret(random), newSecret(random)];
        return [
          wire.register.write({ protocol: 1, client: "fuzz", readOnly: true, clientSecret, sessionSecret, oldestSnapshot: undefined }),
          wire.registered,
        ];
      }
      case "load":
        return [wire.load.write({ session, snapshot, keys: [key(), key()] }), wire.loadAnswer];
      case "list":
        return [
          wire.list.write({
            session,
            snapshot,
            range: { from: key(), to: oneOf(random, [undefined, "noise", "z"]) },
            rowsMax: below(random, 9),
          }),
          wire.listAnswer,
        ];
      case "commit":
      case "vote": {
        const copy = this.#copies[below(random, 200)];
        if (copy !== undefined && below(random, 10) === 0) return [copy, operation === "commit" ? wire.committed : wire.nothing];
        const value = below(random, 5) === 0 ? undefined : encodeValue(random.fraction());
        const writes = [{ key: key(), value }];
        const ranges = below(random, 3) === 0 ? [{ from: key(), to: key() }] : [];
        const good = wire.commit.write({
          session,
          id: newId(),
          snapshot,
          serializable: below(random, 2) === 0,
          reads: [key()],
          ranges,
          writes,
        });
        if (this.#copies.length < 200) this.#copies.push(Buffer.from(good));
        return [good, operation === "commit" ? wire.committed : wire.nothing];
      }
      case "finish":
        return [wire.finish.write({ session, id }), wire.committed];
      case "abort":
        return [wire.finish.write({ session, id }), wire.nothing];
      case "settle":
        return [wire.settle.write({ session, id, snapshot }), wire.settled];
      case "verify":
        return [wire.verify.write({ session, position, asOf: position }), wire.verdict];
      case "log":
        return [wire.logRequest.write({ session, after: snapshot }), wire.logPage];
      case "keys":
        return [wire.keysRequest.write({ session, tid: snapshot, from: below(random, 3) }), wire.keysPage];
      case "alive":
        return [wire.alive.write({ session, oldestSnapshot: snapshot }), wire.aliveAnswer];
      case "bye":
        // The client's own session must stay, since all other messages use it.
        return [wire.session.write({ session: "gone" }), wire.nothing];
      case "writer":
        return [wire.challenge.write({ nonce: id }), wire.writer];
      case "status":
        return [wire.session.write({ session }), wire.serverStatus];
    }
  }

  sends(operation: string, payload: Uint8Array): void {
    if (operation !== "commit" && operation !== "vote") return;
    const commit = readable(wire.commit, payload);
    if (commit === undefined) return;
    const sent = this.#sent.get(commit.id);
    if (sent === undefined) this.#sent.set(commit.id, [{ payload, commit }]);
    else sent.push({ payload, commit });
  }

  /** Forgets a refused message: a changed copy with the same id may still commit. */
  refused(operation: string, payload: Uint8Array): void {
    if (operation !== "commit" && operation !== "vote") return;
    const commit = readable(wire.commit, payload);
    const sent = commit === undefined ? undefined : this.#sent.get(commit.id);
    const index = sent?.findIndex((each) => each.payload === payload) ?? -1;
    if (index !== -1) sent?.splice(index, 1);
  }

  hears(operation: string, payload: Uint8Array, answer: unknown): void {
    if (operation === "vote") this.#voted.push(wire.commit.read(payload).id);
    if (operation !== "commit" && operation !== "finish" && operation !== "settle") return;
    const { id } = operation === "commit" ? wire.commit.read(payload) : (operation === "finish" ? wire.finish : wire.settle).read(payload);
    const { tid } = (operation === "settle" ? (answer as { committed?: { tid: Tid } }).committed : (answer as { tid: Tid })) ?? {};
    if (tid !== undefined) this.#committed.set(tid, id);
  }

  /** The objects that the committed transactions leave, applied in the order of their tids. */
  model(): Map<string, string> {
    const objects = new Map<string, string>();
    for (const [, id] of [...this.#committed].sort(([a], [b]) => a - b)) {
      const first = this.#sent.get(id)?.[0];
      expect(first, "only commits that were sent completely are committed").toBeDefined();
      for (const { key, value } of first?.commit.writes ?? []) {
        if (value === undefined) objects.delete(key);
        else objects.set(key, Buffer.from(value).toString("hex"));
      }
    }
    return objects;
  }
}

async function startPlace(seed: number) {
  const nats = await startNatsServer();
  undo.push(() => nats.stop());
  const folder = await mkdtemp(join(tmpdir(), "zooid-fuzz-"));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const loud: { readonly facts: object; readonly message: string }[] = [];
  const note = (facts: object, message: string) => void loud.push({ facts, message });
  const log = { ...silentLog, error: note, fatal: note };
  const fatal: unknown[] = [];

  const serverTransport = await connectNats({ servers: nats.url, log });
  undo.push(() => serverTransport.close());
  const seams = { transport: serverTransport, clock: systemClock, log };
  const system = createActorSystem({ ...seams, realm, random: systemRandom });
  undo.push(() => system.close());
  const server = await startStorageServer({
    ...seams,
    realm,
    random: seededRandom(seed),
    storages: { main: { open: () => openLmdbStore({ folder: join(folder, "server") }) } },
    system,
    transactionTimeoutMs: 100,
    transactionsOpenMax: 50,
    onFatal: (error) => fatal.push(error),
  });
  undo.push(() => server.close());

  const witness = await connect({ servers: nats.url, realm, client: "witness", cache: { folder: join(folder, "witness") }, log });
  undo.push(() => witness.close());
  await witness.put("untouched", "as it was");
  const watching = system.remote("server/main/pruning").subscribe(() => undefined);
  undo.push(() => watching());
  const sender = await connectNats({ servers: nats.url, log });
  undo.push(() => sender.close());
  return { server, witness, sender, loud, fatal, subjects: aimsAt(server.instance) };
}

async function allRows(client: WireClient, tid: Tid): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  for (let from: string | undefined = ""; from !== undefined;) {
    const page: Awaited<ReturnType<WireClient["list"]>> = await client.list(tid, { from, to: undefined });
    for (const { key, value } of page.rows) rows.set(key, Buffer.from(value).toString("hex"));
    from = page.end;
  }
  return rows;
}

function isOfServer(payload: Uint8Array, instance: string): boolean {
  return readable(wire.broadcast, payload)?.instance === instance;
}

function readable<T>(codec: wire.Codec<T>, payload: Uint8Array): T | undefined {
  try {
    return codec.read(payload);
  } catch {
    return undefined;
  }
}

/** Bytes in use. The first collection leaves freed buffers to another thread; the second waits for that thread. */
function memory(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
