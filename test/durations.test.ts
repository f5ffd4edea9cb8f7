/** Every public option that is a duration: the values that it accepts and those that it refuses. */
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import Fastify from "fastify";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { createActorSystem } from "../actors/index.js";
import { findCacheNodes } from "../cache.js";
import { type Duration, InvalidOptionError, seededRandom, silentLog } from "../core/index.js";
import { Output } from "../cli/output.js";
import { createProgram } from "../cli/program.js";
import { routeCaching, type RouteCachingOptions } from "../fastify.js";
import { connect, type ObjectClient } from "../index.js";
import { startStorageServer } from "../server.js";
import { MemoryDisk } from "../testing/memory-store.js";
import { SimulatedClock } from "../testing/simulated-clock.js";
import { connectNats, connectWebSocket, createBroker, type HeadedTransport, serveBroker } from "../transport/index.js";
import { openCache } from "./actors/cache/open.js";
import { clientWorld, type ClientWorld } from "./support/client-world.js";
import { createJetStreamBus } from "../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../actors/cache/bus/plain-bus.js";

interface Face {
  readonly name: string;
  readonly option: string;
  /** Uses `value` as the option. The value is accepted unless this throws or rejects with InvalidOptionError. */
  readonly give: (value: Duration) => unknown;
  readonly taken: readonly Duration[];
  readonly refused: readonly unknown[];
}

const refused = [Number.NaN, -1, "5", "5 parsecs", "", "-5s", null, {}];
const worlds: ClientWorld[] = [];

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

/** A plain number is in milliseconds; Infinity is refused. */
function bounded(name: string, option: string, give: Face["give"]): Face {
  return { name, option, give, taken: ["5s", 5_000.5, 2 ** 60], refused: [...refused, Infinity] };
}

/** A plain number is in milliseconds; Infinity means no bound. */
function endless(name: string, option: string, give: Face["give"]): Face {
  return { name, option, give, taken: ["5s", 5_000.5, 2 ** 60, Infinity], refused };
}

/** A plain number is in seconds; Infinity is refused. */
function boundedSecs(name: string, option: string, give: Face["give"]): Face {
  return { name, option, give, taken: ["5s", 5, "400d"], refused: [...refused, Infinity, 2 ** 60] };
}

/** A plain number is in seconds; Infinity means no bound. */
function endlessSecs(name: string, option: string, give: Face["give"]): Face {
  return { name, option, give, taken: ["5s", 5, "400d", Infinity], refused: [...refused, 2 ** 60] };
}

async function world(): Promise<ClientWorld> {
  const made = await clientWorld();
  worlds.push(made);
  return made;
}

async function onClient(use: (client: ObjectClient) => Promise<unknown>): Promise<void> {
  const { open, run } = await world();
  const { client } = await open("a");
  await run(use(client));
}

async function serve(options: object, store: object = {}): Promise<void> {
  const clock = new SimulatedClock();
  const disk = new MemoryDisk("objects", (apply) => {
    apply();
    return Promise.resolve();
  });
  const starting = startStorageServer({
    realm: "test",
    storages: { main: { open: () => disk.open(), ...store } },
    transport: createBroker({ clock }).connect(),
    clock,
    random: seededRandom(1),
    log: silentLog,
    ...options,
  });
  const server = await clock.settle(starting, 10_000);
  await clock.settle(server.close(), 10_000);
}

/** The seams of a process with its own broker, and a way to let time pass there. */
function seams() {
  const clock = new SimulatedClock();
  const transport = createBroker({ clock }).connect();
  const deps = { transport, clock, random: seededRandom(1), log: silentLog };
  return { deps, run: <T>(promise: Promise<T>) => clock.settle(promise, 2 ** 61) };
}

function overActors(use: (actors: ReturnType<typeof createActorSystem>) => Promise<unknown>): Promise<unknown> {
  const { deps, run } = seams();
  return run(use(createActorSystem({ realm: "test", ...deps })));
}

function findNodes(options: object): Promise<unknown> {
  const { deps, run } = seams();
  return run(findCacheNodes({ prefix: "p", waitMs: 1, ...options, ...deps }));
}

async function onRoute(route: object, plugin: object = {}): Promise<void> {
  const { cache } = await openCache();
  const app = Fastify();
  onTestFinished(() => app.close());
  await app.register(routeCaching, { cache, ...plugin } as RouteCachingOptions);
  app.get("/", { config: { cache: route } }, () => "");
  await app.ready();
}

const cached = async (options: object) => (await openCache()).cache.cacheable(() => 1, { name: "f", ...options });
/** Nothing listens on this port. */
const nowhere = { servers: "nats://127.0.0.1:1" };

const faces: readonly Face[] = [
  endless("read", "timeoutMs", (timeoutMs) => onClient((client) => client.read(() => 1, { timeoutMs }))),
  endless("read", "maxStaleMs", (maxStaleMs) => onClient((client) => client.read(() => 1, { maxStaleMs }))),
  endless("transact", "timeoutMs", (timeoutMs) => onClient((client) => client.transact(() => 1, { timeoutMs }))),
  endless("connected", "timeoutMs", (timeoutMs) => onClient((client) => client.connected(timeoutMs))),
  // With a longer time-out it would wait for the broker.
  { ...endless("connect", "waitTimeoutMs", (waitTimeoutMs) => connect({ ...nowhere, waitTimeoutMs })), taken: ["40ms", 40] },
  ...["requestTimeoutMs", "heartbeatTimeoutMs"].flatMap((option) => [
    bounded("connect", option, (value) => connect({ ...nowhere, waitTimeoutMs: 40, [option]: value })),
    bounded("openObjectClient", option, async (value) => (await world()).open("a", { [option]: value })),
  ]),
  endless("connect", "closeTimeoutMs", (closeTimeoutMs) => connect({ ...nowhere, waitTimeoutMs: 40, closeTimeoutMs })),
  endless("openObjectClient", "waitTimeoutMs", async (waitTimeoutMs) => (await world()).open("a", { waitTimeoutMs })),
  ...["heartbeatIntervalMs", "sessionTimeoutMs", "transactionTimeoutMs", "pruningIntervalMs"].map((option) =>
    bounded("startStorageServer", option, (value) => serve({ keepAliveIntervalMs: 1, [option]: value })),
  ),
  bounded("startStorageServer", "keepAliveIntervalMs", (value) => serve({ sessionTimeoutMs: 2 ** 61, keepAliveIntervalMs: value })),
  ...["historyAgeMs", "invalidationAgeMs", "outcomeAgeMs", "snapshotRetentionMs"].map((option) =>
    endless("a storage", option, (value) => serve({}, { [option]: value })),
  ),
  ...["defaultTtl", "autoPruneSecs", "flightTimeout", "maxStaleSecs", "publishTimeout"].map((option) =>
    endlessSecs("createCache", option, (value) => openCache({ [option]: value })),
  ),
  ...["autoPruneInterval", "lruUpdateInterval", "ttiFlushSecs"].map((option) =>
    boundedSecs("createCache", option, (value) => openCache({ [option]: value })),
  ),
  endlessSecs("cacheable", "ttl", (ttl) => cached({ ttl })),
  endlessSecs("cacheable", "staleIfError", (staleIfError) => cached({ staleIfError })),
  endlessSecs("getOrSet", "ttl", async (ttl) => (await openCache()).cache.getOrSet("k", () => 1, { ttl })),
  endlessSecs("getOrSet", "staleIfError", async (staleIfError) => (await openCache()).cache.getOrSet("k", () => 1, { staleIfError })),
  endlessSecs("set", "ttl", async (ttl) => (await openCache()).cache.set("k", 1, { ttl })),
  endlessSecs("prune", "unused", async (unused) => (await openCache()).cache.prune(unused)),
  endlessSecs("a route", "ttl", (ttl) => onRoute({ ttl })),
  endlessSecs("routeCaching", "ttl", (ttl) => onRoute({}, { ttl })),
  endless("a remote actor", "timeoutMs", (timeoutMs) => overActors((actors) => actors.remote("a").snapshot({ timeoutMs }))),
  bounded("a child that is a remote actor", "waitMs", (waitMs) => overActors(async (actors) => void actors.fromRemote("a", { waitMs }))),
  bounded("createActorSystem", "heartbeatTimeoutMs", async (heartbeatTimeoutMs) =>
    createActorSystem({ realm: "test", ...seams().deps, heartbeatTimeoutMs }).close(),
  ),
  bounded("a list of actors", "waitMs", (waitMs) => overActors((actors) => actors.list(waitMs))),
  bounded("findCacheNodes", "waitMs", (waitMs) => findNodes({ waitMs })),
  endless("findCacheNodes", "timeoutMs", (timeoutMs) => findNodes({ timeoutMs })),
  ...["dialTimeoutMs", "pingIntervalMs"].flatMap((option) => [
    bounded("connectNats", option, (value) => connectNats({ ...nowhere, [option]: value })),
    bounded("connectWebSocket", option, (value) => connectWebSocket({ url: "ws://127.0.0.1:1", [option]: value })),
  ]),
  bounded("serveBroker", "pingIntervalMs", async (pingIntervalMs) =>
    (await serveBroker({ broker: createBroker(), pingIntervalMs })).close(),
  ),
  bounded("a plain bus", "heartbeatIntervalMs", (heartbeatIntervalMs) =>
    createPlainBus({ prefix: "p", heartbeatIntervalMs, ...seams().deps }),
  ),
  bounded("a plain bus", "heartbeatTimeoutMs", (heartbeatTimeoutMs) =>
    createPlainBus({ prefix: "p", heartbeatIntervalMs: 1, heartbeatTimeoutMs, ...seams().deps }),
  ),
  // A shorter history would end before the next heartbeat.
  {
    ...bounded("a JetStream bus", "historyMs", (historyMs) =>
      createJetStreamBus({ prefix: "p", historyMs, transport: seams().deps.transport as unknown as HeadedTransport }),
    ),
    taken: ["1h", 3_600_000.5, 2 ** 60],
  },
];

const problemOf = async (face: Face, value: unknown): Promise<unknown> => {
  try {
    // The table contains values that the types refuse.
    await face.give(value as Duration);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe.each(faces.map((face) => [`${face.name}: ${face.option}`, face] as const))("%s", (_, face) => {
  test.each(face.taken.map((value) => [String(value), value] as const))("takes %s", async (_text, value) => {
    expect(await problemOf(face, value)).not.toBeInstanceOf(InvalidOptionError);
  });

  test.each(face.refused.map((value) => [typeof value === "string" ? JSON.stringify(value) : String(value), value] as const))(
    "refuses %s",
    async (_text, value) => {
      const problem = await problemOf(face, value);
      expect(problem).toBeInstanceOf(InvalidOptionError);
      expect((problem as InvalidOptionError).option).toContain(face.option);
    },
  );
});

describe("a flag that takes a duration", () => {
  const program = createProgram({
    out: new Output(new PassThrough(), () => undefined),
    signal: new AbortController().signal,
    say: () => undefined,
  });
  const all = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(all)];
  const flags = all(program).flatMap((command) =>
    command.options.filter(({ flags }) => flags.includes("<duration>")).map((each) => [`${command.name()} ${each.flags}`, each] as const),
  );

  test.each(flags)("%s takes a number with a unit and nothing else", (_, { parseArg }) => {
    expect(parseArg?.("5s", undefined)).toBe(5_000);
    for (const text of ["5", "5 parsecs", "-1s", "NaN", "Infinity", ""])
      expect(() => parseArg?.(text, undefined), text).toThrow(/number with a unit/);
  });
});

test("no option of a face is a plain number of milliseconds or seconds", () => {
  const files = [
    "client/interface",
    "client/options",
    "server/options",
    "cache/options",
    "cache/cacheable-options",
    "cache/admin/nodes",
    "cache/bus/plain-bus",
    "system/remote-actor",
  ].map((name) => `actors/${name}.ts`);
  const transports = ["nats/dial", "websocket/websocket", "websocket/broker", "jetstream/options"].map((name) => `transport/${name}.ts`);
  for (const file of [...files, ...transports, "fastify/route-rules.ts"]) {
    const text = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
    // Durations in settings that were already checked are required properties; options are optional.
    expect(text.match(/readonly \w+(?:Ms|Secs|Interval|Timeout|Ttl)\?: number\b.*/g), file).toBeNull();
  }
});
