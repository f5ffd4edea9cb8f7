/**
 * A foreign stream on Zooid's subjects acknowledges requests in place of the server. Each part that gets such an answer
 * names the stream.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCache } from "../../cache.js";
import { deferred } from "../../core/deferred.js";
import { silentLog, systemClock, systemRandom } from "../../core/index.js";
import { connect } from "../../index.js";
import { openLmdbStore, startStorageServer } from "../../server.js";
import { connectNats } from "../../transport/nats/nats.js";
import { askJetStream } from "../../transport/jetstream/ask.js";
import type { Transport } from "../../transport/transport.js";
import { zooid } from "../cli/run-zooid.js";
import { jetStreamConfig } from "../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { until } from "../support/until.js";

/** Far below waitTimeoutMs, and longer than some requests take on a busy machine. */
const soonMs = 10_000;
const captured = { code: "ZOOID_CAPTURED_SUBJECTS", facts: { stream: "EVENTS", subjects: "zooid.>" } };

let nats: NatsServer;
let link: Transport;
let folder: string;

beforeEach(async () => {
  nats = await startNatsServer({ config: jetStreamConfig() });
  link = await connectNats({ servers: nats.url });
  folder = await mkdtemp(join(tmpdir(), "zooid-captured-"));
});

afterEach(async () => {
  await link.close();
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
});

const timeoutMs = 5_000;
const capture = (subjects: readonly string[]) =>
  askJetStream(link, "STREAM.CREATE.EVENTS", { name: "EVENTS", subjects, storage: "memory", retention: "limits" }, { timeoutMs });
const release = () => askJetStream(link, "STREAM.DELETE.EVENTS", undefined, { timeoutMs });

function serve() {
  const open = () => openLmdbStore({ folder: join(folder, "server") });
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  return startStorageServer({ realm: "zooid", storages: { main: { open } }, transport: link, ...seams });
}

test("a client and the command line name the stream at once, and a client that waits for its server connects when the stream is gone", async () => {
  await capture(["zooid.>"]);
  const since = performance.now();
  await expect(connect(nats.url)).rejects.toMatchObject(captured);
  expect((await zooid(["get", "a", "--servers", nats.url])).error).toMatchObject(captured);
  expect(performance.now() - since).toBeLessThan(soonMs);
  await release();
  const server = await serve();
  await using store = await connect(nats.url);
  await store.put("x", 1);
  await server.close();
});

test("a storage server does not start, and names the stream, since it cannot find out whether another server writes", async () => {
  await capture(["zooid.>"]);
  const since = performance.now();
  await expect(serve()).rejects.toMatchObject(captured);
  expect(performance.now() - since).toBeLessThan(soonMs);
  await release();
  await (await serve()).close();
});

test("a commit that the stream answers is settled, not reported as failed", async () => {
  const server = await serve();
  await using store = await connect({ servers: nats.url, requestTimeoutMs: "5s" });
  await store.put("x", 1);
  // The acknowledgement of the stream and the answer of the server race. Each put returns the
  // tid of its commit.
  await capture(["zooid.zooid.storage.main.*.commit"]);
  const tids = await Promise.all(Array.from({ length: 20 }, (_, index) => store.put(`k/${index}`, index)));
  expect(new Set(tids).size).toBe(20);
  expect(await store.getMany(Array.from({ length: 20 }, (_, index) => `k/${index}`))).toEqual(
    Array.from({ length: 20 }, (_, index) => index),
  );
  await server.close();
});

test("a cache whose stream cannot be created names the stream that captures its subjects, and follows when that is gone", async () => {
  await capture(["zooid.>"]);
  const warned = deferred<Error>();
  const warn = (facts: object, message: string) => {
    if (message.startsWith("a cache waits") && "err" in facts) warned.resolve(facts.err as Error);
  };
  await using cache = await createCache({ busUrl: nats.url, log: { ...silentLog, warn } });
  const error = { code: "ZOOID_CAPTURED_SUBJECTS", facts: { stream: "EVENTS", subjects: "zooid.zooid.inv.>" } };
  const found = await warned.promise;
  expect(found).toMatchObject(error);
  expect(cache.stats().busTrouble).toBe(
    "the JetStream stream EVENTS captures messages on zooid.zooid.inv.>, which Zooid needs for itself: give that stream other subjects",
  );
  expect(await cache.getOrSet("k", () => 1)).toBe(1);
  await release();
  await until(() => cache.stats().bus?.type === "following");
  expect(cache.stats().busTrouble).toBeUndefined();
});

test("a cache over plain NATS, which waits for no answers, works beside such a stream", async () => {
  await using cache = await createCache({ busUrl: nats.url, busKind: "nats" });
  await until(() => cache.stats().isInTouch);
  await capture(["zooid.>"]);
  expect(await cache.invalidate("a")).toBe("published");
});

test("a bucket whose stream cannot be created names the stream that captures its subjects", async () => {
  await capture(["$KV.results.>"]);
  const failed = deferred<object>();
  const warn = (facts: object) => {
    const error = "err" in facts ? facts.err : undefined;
    if (error instanceof Error && error.name === "CapturedSubjectsError") failed.resolve(error);
  };
  await using cache = await createCache({ storageUrl: `${nats.url}/results`, log: { ...silentLog, warn } });
  await until(() => cache.stats().isInTouch);
  await cache.getOrSet("k", () => 1);
  expect(await failed.promise).toMatchObject({ facts: { stream: "EVENTS", subjects: "$KV.results.>" } });
});
