import { networkInterfaces } from "node:os";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { connect as rawConnect, headers } from "nats";
import { connectNats, type NatsOptions, type Transport } from "../../../transport/index.js";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../support/nats-server.js";
import { receive, rejected, status } from "../../../testing/suites/transport-steps.js";

const transports: Transport[] = [];
const servers: NatsServer[] = [];

afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function serve(options?: NatsServerOptions): Promise<NatsServer> {
  const server = await startNatsServer(options);
  servers.push(server);
  return server;
}

async function connect(options: NatsOptions): Promise<Transport> {
  const transport = await connectNats(options);
  transports.push(transport);
  return transport;
}

const empty = new Uint8Array(0);
const openSockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;

describe("a broker that fails", () => {
  test("killed with SIGKILL: a request in flight fails within a second, and later requests work when it is back", async () => {
    const server = await serve();
    const [asker, answerer] = [await connect({ servers: server.url }), await connect({ servers: server.url })];
    const taken = receive(answerer, ["silent"], 1, () => undefined);
    answerer.subscribe("echo", (message) => message.reply?.(message.payload));
    await answerer.flush();
    const request = rejected(asker.request("silent", empty, { timeoutMs: 3_600_000 }));
    await taken;
    const back = Promise.all([asker, answerer].map((transport) => status(transport, "connected")));
    const since = performance.now();
    await server.kill("SIGKILL");
    expect(await request).toMatchObject({ code: "ZOOID_DISCONNECTED", transient: true });
    expect(performance.now() - since).toBeLessThan(1_000);
    await server.restart();
    await back;
    await answerer.flush();
    expect(await asker.request("echo", Buffer.from("again"), { timeoutMs: 10_000 })).toEqual(Buffer.from("again"));
  });

  test("that hangs is noticed by its pings, even with a full send buffer, and found again when it resumes", async () => {
    const server = await serve();
    const transport = await connect({ servers: server.url, pingIntervalMs: 100, dialTimeoutMs: 200 });
    server.pause();
    const down = status(transport, "disconnected");
    const since = performance.now();
    for (let n = 0; n < 20; n++) transport.publish("a", new Uint8Array(1024 * 1024));
    const flush = rejected(transport.flush());
    await down;
    expect(performance.now() - since).toBeLessThan(2_000);
    expect(await flush).toMatchObject({ code: "ZOOID_DISCONNECTED" });
    const up = status(transport, "connected");
    server.resume();
    await up;
    await transport.flush();
  });

  test("that is slow, but answers within the pings, keeps its links and loses nothing", async () => {
    const server = await serve();
    const [sender, receiver] = [await connect({ servers: server.url }), await connect({ servers: server.url })];
    const heard = receive(receiver, ["a"], 100, (message) => message.payload[0]);
    // The broker may still take a request while it is being stopped. It has no answer, so it times out all the same.
    receiver.subscribe("silent", () => undefined);
    await receiver.flush();
    const changes: string[] = [];
    for (const transport of [sender, receiver]) transport.onStatus((now) => changes.push(now));
    server.pause();
    for (let n = 0; n < 100; n++) sender.publish("a", Uint8Array.of(n));
    expect(await rejected(sender.request("silent", empty, { timeoutMs: 200 }))).toMatchObject({ code: "ZOOID_TIMEOUT" });
    server.resume();
    expect(await heard).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(changes).toEqual([]);
  });

  test("that accepts a connection and sends nothing is given up in time, and no socket is left open", async () => {
    const server = await serve();
    server.pause();
    const before = openSockets();
    const since = performance.now();
    expect(await rejected(connectNats({ servers: server.url, dialTimeoutMs: 150 }))).toMatchObject({ code: "ZOOID_DISCONNECTED" });
    expect(performance.now() - since).toBeLessThan(1_500);
    const waiting = await connectNats({ servers: server.url, waitForFirst: false });
    await waiting.close();
    while (openSockets() > before) await turn();
  });

  test("a service may start before its broker", async () => {
    const server = await serve();
    await server.kill();
    expect(await rejected(connectNats({ servers: server.url }))).toMatchObject({
      code: "ZOOID_DISCONNECTED",
      facts: { address: `127.0.0.1:${server.port}` },
    });
    const transport = await connect({ servers: server.url, waitForFirst: false });
    expect(transport.status).toBe("disconnected");
    const heard = receive(transport, ["a"], 1, (message) => message.payload[0]);
    const up = status(transport, "connected");
    await server.restart();
    await up;
    transport.publish("a", Uint8Array.of(7));
    expect(await heard).toEqual([7]);
  });
});

describe("addresses", () => {
  test("all addresses of a list are tried in turn, at first and whenever the link is lost", async () => {
    const [first, second] = [await serve(), await serve()];
    await first.kill();
    const transport = await connect({ servers: `${first.url}, ${second.url}` });
    expect(transport.address).toBe(`127.0.0.1:${second.port}`);
    await first.restart();
    const up = status(transport, "connected");
    await second.kill();
    await up;
    expect(transport.address).toBe(`127.0.0.1:${first.port}`);
  });

  test("all addresses of a name are tried, IPv6 and IPv4", async () => {
    const server = await serve();
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      return ["::1", "127.0.0.2", "127.0.0.1"];
    };
    const transport = await connect({ servers: `nats://broker.test:${server.port}`, resolve });
    expect(transport.address).toBe(`127.0.0.1:${server.port}`);
    expect(asked).toEqual(["broker.test"]);
    const local = await connect({ servers: `localhost:${server.port}` });
    expect(local.address).toBe(`127.0.0.1:${server.port}`);
  });

  test("a broker that listens on IPv6 only is reached by address and by name", async ({ skip }) => {
    const addresses = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address));
    skip(!addresses.includes("::1"), "this machine has no IPv6");
    const server = await serve({ host: "::1" });
    const transport = await connect({ servers: server.url });
    expect(transport.address).toBe(`[::1]:${server.port}`);
    const named = await connect({ servers: `nats://broker.test:${server.port}`, resolve: async () => ["127.0.0.1", "::1"] });
    expect(named.address).toBe(`[::1]:${server.port}`);
  });

  test("a name that does not resolve is DisconnectedError with its cause", async () => {
    const error = await rejected(connectNats({ servers: "nats://nowhere.test", resolve: () => Promise.reject(new Error("no such name")) }));
    expect(error).toMatchObject({ code: "ZOOID_DISCONNECTED", cause: { message: "no such name" } });
  });

  test.each(["", "redis://localhost", "nats://", "nats://localhost:4222/path", "nats://%zz@localhost", "nats://local host"])(
    "%j is InvalidOptionError",
    async (address) => {
      expect(await rejected(connectNats({ servers: [address] }))).toMatchObject({
        code: "ZOOID_INVALID_OPTION",
        facts: { option: "servers" },
      });
    },
  );
});

describe("sizes", () => {
  test("a payload that fits into one message is sent without headers, and invalid parts do no harm", async () => {
    const server = await serve();
    const transport = await connect({ servers: server.url });
    const raw = await rawConnect({ servers: server.url });
    const heard = receive(transport, ["a"], 2, (message) => [...message.payload]);
    const plain = raw.subscribe("b", { max: 1 });
    await Promise.all([transport.flush(), raw.flush()]);
    for (const text of ["", "garbage", "m 0 1 99999999", "m 1 2 2", "m 0 2 2"]) {
      const found = headers();
      found.set("Zooid-Part", text);
      raw.publish("a", text === "" ? Uint8Array.of(1) : Uint8Array.of(9), { headers: found });
    }
    raw.publish("a", Uint8Array.of(2));
    expect(await heard).toEqual([[1], [2]]);
    transport.publish("b", Uint8Array.of(3));
    for await (const message of plain) expect([message.headers, ...message.data]).toEqual([undefined, 3]);
    await raw.close();
  });

  test("the broker's max_payload bounds a publish, and requests are split to fit it", async () => {
    const server = await serve({ config: "max_payload: 64KB" });
    const [asker, answerer] = [await connect({ servers: server.url }), await connect({ servers: server.url })];
    expect(asker.payloadBytesMax).toBe(64 * 1024);
    answerer.subscribe("echo", (message) => message.reply?.(message.payload));
    await answerer.flush();
    const payload = Buffer.alloc(5 * 1024 * 1024, "sixteen letters.");
    const reply = await asker.request("echo", payload, { timeoutMs: 10_000 });
    expect(Buffer.compare(reply, payload)).toBe(0);
  });
});
