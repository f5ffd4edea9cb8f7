import { describe, expect, onTestFinished, test } from "vitest";
import { connectNats } from "../../../transport/nats/nats.js";
import { createJetStreamBucket } from "../../../transport/jetstream/bucket.js";
import type { AskingTransport, Subscription } from "../../../transport/transport.js";
import { DisconnectedError, systemRandom, systemClock, TimeoutError } from "../../../core/index.js";
import { jetStreamConfig } from "../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { bucketSuite } from "../../suites/bucket.js";
import { until } from "../../support/until.js";

const setup = { bucket: "shared", prefix: "p", ageMs: 3_600_000, timeoutMs: 5_000, clock: systemClock, random: systemRandom } as const;

async function openBucket(server: NatsServer, options: { prefix?: string; bytesMax?: number; timeoutMs?: number; ageMs?: number } = {}) {
  const transport = await connectNats({ servers: server.url });
  const bucket = createJetStreamBucket({
    transport,
    ...setup,
    ...options,
  });
  const close = async () => {
    await bucket.close();
    await transport.close();
  };
  const ask = async (subject: string, body?: unknown) => {
    const asked = body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(body));
    const answer = await transport.request(`$JS.API.${subject}`, asked, { timeoutMs: 5_000 });
    return JSON.parse(Buffer.from(answer).toString()) as Record<string, Record<string, unknown>>;
  };
  return { transport, bucket, close, ask };
}

bucketSuite("in JetStream", async () => {
  const server = await startNatsServer({ config: jetStreamConfig() });
  const closes: (() => Promise<void>)[] = [];
  return {
    open: async (prefix) => {
      const { bucket, close } = await openBucket(server, { prefix });
      closes.push(close);
      return bucket;
    },
    close: async () => {
      await Promise.all(closes.map((close) => close()));
      await server.stop();
    },
  };
});

async function opened(options: Parameters<typeof openBucket>[1] = {}) {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  const opened = await openBucket(server, options);
  onTestFinished(() => opened.close());
  return { server, ...opened };
}
const bytes = Buffer.from("x");

/** A copy of `transport`, whose methods a test can replace. */
function delegate(transport: AskingTransport): AskingTransport {
  return {
    kind: transport.kind,
    get status() {
      return transport.status;
    },
    address: transport.address,
    payloadBytesMax: transport.payloadBytesMax,
    publish: (...args) => transport.publish(...args),
    request: (...args) => transport.request(...args),
    ask: (...args) => transport.ask(...args),
    subscribe: (...args) => transport.subscribe(...args),
    onStatus: (...args) => transport.onStatus(...args),
    flush: () => transport.flush(),
    close: () => transport.close(),
  };
}

describe("a bucket in JetStream", () => {
  test("has the layout of NATS's key-value store, and is made by its first user", async () => {
    const { server, bucket, ask } = await opened();
    const other = await openBucket(server);
    onTestFinished(() => other.close());
    await Promise.all([bucket.get("a"), other.bucket.get("b")]);
    const { config } = await ask("STREAM.INFO.KV_shared");
    expect(config).toMatchObject({
      subjects: ["$KV.shared.>"],
      max_msgs_per_subject: 1,
      max_age: 3_600_000_000_000,
      max_bytes: -1,
      discard: "old",
      allow_direct: true,
    });
  });

  test("has at most `bytesMax`, and removes its oldest entries", async () => {
    const { server, bucket, ask } = await opened({ bytesMax: 100_000 });
    for (let n = 0; n < 50; n++) expect(await bucket.put(`k${n}`, Buffer.alloc(10_000), 0)).toBeDefined();
    expect(await bucket.get("k0")).toBeUndefined();
    expect(await bucket.get("k49")).toBeDefined();
    const { state } = await ask("STREAM.INFO.KV_shared");
    expect(Number(state?.bytes)).toBeLessThanOrEqual(100_000);
    const wider = await openBucket(server, { bytesMax: 200_000 });
    onTestFinished(() => wider.close());
    await wider.bucket.get("k");
    expect((await ask("STREAM.INFO.KV_shared")).config?.max_bytes).toBe(200_000);
  });

  test("that another client made is used as it is, and keeps entries that may not be removed", async () => {
    const { bucket, ask } = await opened({ bytesMax: 100_000 });
    const theirs = {
      name: "KV_shared",
      subjects: ["$KV.shared.>"],
      storage: "file",
      max_msgs_per_subject: 1,
      allow_direct: true,
      deny_delete: true,
    };
    await ask("STREAM.CREATE.KV_shared", { ...theirs, retention: "limits", discard: "new", max_bytes: -1, max_age: 0, num_replicas: 1 });
    const revision = (await bucket.put("k", bytes, 0)) ?? 0;
    expect([await bucket.remove(revision), await bucket.keepsExpired()]).toEqual([false, false]);
    expect(await bucket.get("k")).toBeDefined();
    expect((await ask("STREAM.INFO.KV_shared")).config).toMatchObject({ max_bytes: -1, max_age: 0, discard: "new" });
  });

  test("of a broker that was killed is found again, and is made again if its data is lost", async () => {
    const { server, transport, bucket } = await opened();
    await bucket.put("k", bytes, 0);
    await server.kill();
    await lost(transport);
    await expect(bucket.get("k")).rejects.toThrow(DisconnectedError);
    await server.restart();
    await linked(transport);
    expect(await bucket.get("k")).toBeDefined();
    const lostAgain = lost(transport);
    await server.restart(jetStreamConfig("other"));
    await lostAgain;
    await linked(transport);
    await bucket.get("k").catch(() => undefined);
    expect(await bucket.get("k")).toBeUndefined();
    expect(await bucket.put("k", bytes, 0)).toBe(1);
  });

  test("a call to a broker that hangs ends within the time-out", async () => {
    const { server, bucket } = await opened({ timeoutMs: 100 });
    await bucket.put("k", bytes, 0).catch(() => undefined);
    server.pause();
    let begun = performance.now();
    const get = () => {
      begun = performance.now();
      return bucket.get("k");
    };
    // The broker may still answer until the signal takes effect.
    const hangs = async () => {
      for (;;) await get();
    };
    await expect(hangs()).rejects.toThrow(TimeoutError);
    expect(performance.now() - begun).toBeLessThan(5_000);
    server.resume();
    // The broker answers again after a while.
    while ((await bucket.get("other").catch((error: unknown) => error)) !== undefined);
  });

  test("a listing ends although entries are removed before their delivery, with the rest or with none", async () => {
    const { transport, bucket } = await opened();
    for (const key of ["a", "b", "c"]) await bucket.put(key, bytes, 0);
    let subscribe: () => void = () => undefined;
    let between: () => Promise<unknown> = () => Promise.resolve();
    // The subscription starts after the consumer was made.
    const late: AskingTransport = {
      ...delegate(transport),
      subscribe: (subject, handler) => {
        const made: Subscription[] = [];
        subscribe = () => made.push(transport.subscribe(subject, handler));
        return { unsubscribe: () => made.map((each) => each.unsubscribe()) };
      },
      request: async (subject, payload, options) => {
        const answer = await transport.request(subject, payload, options);
        if (!subject.includes("CONSUMER.CREATE")) return answer;
        await between();
        subscribe();
        return answer;
      },
    };
    const listing = createJetStreamBucket({ ...setup, transport: late });
    onTestFinished(() => listing.close());
    const count = async () => (await listing.list(1, 10)).length;
    expect(await count()).toBe(3);
    const last = (await bucket.get("c"))?.revision ?? 0;
    between = () => bucket.remove(last);
    expect(await count()).toBe(2);
    between = () => bucket.clear();
    expect(await count()).toBe(0);
  });

  test("a listing answers the server's flow control, without which the server sends no more", async () => {
    const { transport, bucket } = await opened();
    await bucket.get("k");
    const headers = { Long: "x".repeat(16_000) };
    const count = 600;
    for (let n = 0; n < count; n++) await transport.request(`$KV.shared.p.k${n}`, bytes, { timeoutMs: 5_000, headers });
    expect((await bucket.list(1, 1_000)).length).toBe(count);
  });

  test("a time to live that another client wrote in another form is ignored", async () => {
    const { transport, bucket } = await opened();
    const written = ["", "x", "-1", "1.5", "1e3", " 1", "9".repeat(16), "0", "7"];
    await bucket.get("k");
    for (const [n, ttl] of written.entries()) {
      await transport.request(`$KV.shared.p.k${n}`, bytes, { timeoutMs: 5_000, headers: { "Zooid-Ttl-Ms": ttl } });
    }
    const listed = (await bucket.list(1, 10)).map(({ ttlMs }) => ttlMs);
    expect(listed).toEqual([undefined, undefined, undefined, undefined, undefined, 1, undefined, 0, 7]);
  });

  test("an entry with a time to live is removed by servers that support it", async () => {
    const { bucket, ask } = await opened();
    await bucket.put("k", bytes, 0, 1_000);
    await bucket.put("stays", bytes, 0, 60_000);
    if ((await ask("STREAM.INFO.KV_shared")).config?.allow_msg_ttl !== true) {
      expect(await bucket.get("k")).toBeDefined();
      return;
    }
    await until(async () => (await bucket.get("k")) === undefined);
    expect(await bucket.get("stays")).toBeDefined();
    expect(await bucket.put("k", bytes, 0)).toBeDefined();
  });
});

function lost(transport: { status: string; onStatus: (listener: (status: string) => void) => () => void }): Promise<void> {
  if (transport.status !== "connected") return Promise.resolve();
  return new Promise((resolve) => {
    const stop = transport.onStatus((status) => {
      if (status === "connected") return;
      stop();
      resolve();
    });
  });
}

function linked(transport: { status: string; onStatus: (listener: (status: string) => void) => () => void }): Promise<void> {
  if (transport.status === "connected") return Promise.resolve();
  return new Promise((resolve) => {
    const stop = transport.onStatus((status) => {
      if (status !== "connected") return;
      stop();
      resolve();
    });
  });
}
