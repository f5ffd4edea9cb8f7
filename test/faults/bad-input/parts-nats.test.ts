/**
 * Messages in parts that no client can have split this way: they are dropped, while whole messages are taken and
 * answered.
 */
import { connect as rawConnect, headers, type NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { storageSubjects } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { startStorageServer, type StorageServer } from "../../../server.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { connectNats, type Transport } from "../../../transport/index.js";
import { limits, silentLog, systemRandom, systemClock } from "../../../core/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { WireClient } from "../../support/wire-client.js";

let nats: NatsServer;
let raw: NatsConnection;
let transports: Transport[];
let server: StorageServer;
let client: WireClient;
let dropped: string[];
let loud: string[];

beforeAll(async () => {
  nats = await startNatsServer();
  raw = await rawConnect({ servers: nats.url });
});

afterAll(async () => {
  await raw.close();
  await nats.stop();
});

beforeEach(async () => {
  dropped = [];
  loud = [];
  const note = (_: object, message: string) => void loud.push(message);
  const warn = (facts: object, message: string) => void dropped.push(String(Reflect.get(facts, "reason") ?? message));
  const log = { ...silentLog, warn, error: note, fatal: note };
  transports = [await connectNats({ servers: nats.url, log }), await connectNats({ servers: nats.url })];
  const [own, other] = transports as [Transport, Transport];
  const storages = { main: { open: new MemoryDisk("main").open } };
  server = await startStorageServer({ realm: "parts", clock: systemClock, random: systemRandom, log, transport: own, storages });
  client = new WireClient(other, "parts", "main");
  await client.register();
});

afterEach(async () => {
  await server.close();
  for (const transport of transports) await transport.close();
});

const subject = () => storageSubjects("parts", "main").operation(server.instance, "commit");

function send(position: string, bytes: Uint8Array, reply?: string): void {
  const header = headers();
  header.set("Zooid-Part", position);
  raw.publish(subject(), bytes, { headers: header, ...(reply === undefined ? {} : { reply }) });
}

/** Sends a request of several parts after all earlier messages, and expects that it is taken and committed. */
async function isServing(): Promise<void> {
  await raw.flush();
  const writes = { large: "x".repeat(3_000_000) };
  const { tid } = await client.commit({ snapshot: (await client.alive()).position.tid, writes });
  expect(server.status("main").position.tid).toBe(tid);
  expect(loud).toEqual([]);
}

const part = Buffer.alloc(1_000, 1);

describe("a request in parts", () => {
  test.each<readonly [string, readonly (readonly [string, Uint8Array])[], string]>([
    [
      "of which the second is missing",
      [
        ["m 0 3 3000", part],
        ["m 2 3 3000", part],
      ],
      "its parts do not follow each other",
    ],
    [
      "of which the second comes twice",
      [
        ["m 0 3 3000", part],
        ["m 1 3 3000", part],
        ["m 1 3 3000", part],
      ],
      "its parts do not follow each other",
    ],
    [
      "that changes its count",
      [
        ["m 0 3 3000", part],
        ["m 1 4 3000", part],
      ],
      "its parts do not follow each other",
    ],
    [
      "that changes its size",
      [
        ["m 0 3 3000", part],
        ["m 1 3 3001", part],
      ],
      "its parts do not follow each other",
    ],
    [
      "longer than announced",
      [
        ["m 0 2 1500", part],
        ["m 1 2 1500", part],
      ],
      "its parts do not follow each other",
    ],
    [
      "shorter than announced",
      [
        ["m 0 2 2500", part],
        ["m 1 2 2500", part],
      ],
      "its parts are too short",
    ],
    [
      "of which one is empty",
      [
        ["m 0 3 3000", part],
        ["m 1 3 3000", Buffer.alloc(0)],
      ],
      "its parts do not follow each other",
    ],
    ["above messageBytesMax", [[`m 0 2 ${limits.messageBytesMax + 1}`, part]], "a part without a sound position was dropped"],
    ["of more parts than bytes", [["m 0 9 8", part]], "a part without a sound position was dropped"],
    ["that stands nowhere", [["nonsense", part]], "a part without a sound position was dropped"],
    ["that stands behind its end", [["m 3 3 3000", part]], "a part without a sound position was dropped"],
  ])("%s is dropped, and the next one is taken", async (_, parts, reason) => {
    for (const [position, bytes] of parts) send(position, bytes);
    await isServing();
    expect(dropped).toEqual([reason]);
    expect(server.status("main").counters).toMatchObject({ commits: 1, requestsRefused: 0 });
  });

  test("that is complete but malformed is answered with an error", async () => {
    const inbox = "parts.inbox";
    const answered = raw.subscribe(inbox, { max: 1 });
    send("m 0 2 2000", part);
    send("m 1 2 2000", part, inbox);
    for await (const { data } of answered)
      expect(() => wire.readAnswer(wire.committed, data)).toThrow(expect.objectContaining({ code: "ZOOID_MALFORMED_MESSAGE" }) as Error);
    await isServing();
  });

  test("that never ends, ten thousand times, is kept within a bound, and forgotten", async () => {
    const claimed = limits.messageBytesMax;
    for (let index = 0; index < 10_000; index++) {
      send(`m${index} 0 2 ${claimed}`, part);
      if (index % 500 === 0) await raw.flush();
    }
    await raw.flush();
    // Parts count by the bytes that have arrived, not by the size that they claim, so other requests fit beside them.
    await isServing();
    const large = Buffer.alloc(900_000, 1);
    for (let index = 0; index < 100; index++) {
      send(`n${index} 0 2 ${claimed}`, large);
      if (index % 10 === 0) await raw.flush();
    }
    await client.alive();
    await raw.flush();
    await client.alive();
    expect(dropped).toContain("too much is being joined");
  });
});

test("a request above messageBytesMax is refused by its sender", async () => {
  const large = new Uint8Array(limits.messageBytesMax + 1);
  await expect(client.raw("commit", large)).rejects.toMatchObject({ code: "ZOOID_TOO_LARGE" });
  await isServing();
});
