import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createConnection, createServer as createTcpServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  type Broker,
  connectWebSocket,
  createBroker,
  type ServedBroker,
  serveBroker,
  type ServeBrokerOptions,
  type Transport,
} from "../../../transport/index.js";
import { encodeMessage, limits, silentLog, type ZooidError } from "../../../core/index.js";
import { receive, rejected, status } from "../../../testing/suites/transport-steps.js";

let broker: Broker;
let served: ServedBroker;
const transports: Transport[] = [];

beforeEach(async () => {
  broker = createBroker();
  served = await serveBroker({ broker });
});
afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport.close()));
  await served.close();
});

async function connect(url = served.url): Promise<Transport> {
  const transport = await connectWebSocket({ url });
  transports.push(transport);
  return transport;
}

async function serveAgain(options: Omit<ServeBrokerOptions, "broker">): Promise<void> {
  await served.close();
  served = await serveBroker({ broker, ...options });
}

/** A WebSocket without a transport, and the reason for which it was closed. */
async function speak(headers: { readonly [name: string]: string } = {}): Promise<{ socket: WebSocket; closed: Promise<string> }> {
  const socket = new WebSocket(served.url, "zooid.1", { headers });
  const closed = once(socket, "close").then(([code, reason]) => `${code} ${reason}`);
  await once(socket, "message");
  return { socket, closed };
}

describe("frames of a process", () => {
  const malformed: [string, Uint8Array | string, string][] = [
    ["text", "publish a", "1008 ZOOID_INVALID_OPTION"],
    ["nothing", new Uint8Array(0), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["half a frame", encodeMessage(["publish", "a", new Uint8Array(9)]).subarray(0, 8), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["no array", encodeMessage({ publish: "a" }), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["an unknown type", encodeMessage(["constructor", 1]), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["a field too few", encodeMessage(["publish", "a"]), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["a field of a wrong type", encodeMessage(["publish", "a", "b"]), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["a wrong subject", encodeMessage(["publish", "a..b", new Uint8Array(1)]), "1008 ZOOID_INVALID_OPTION"],
    ["a wrong subject to ask", encodeMessage(["request", 1, "a b", new Uint8Array(1), 1000]), "1008 ZOOID_INVALID_OPTION"],
    ["a subject too long", encodeMessage(["publish", "a".repeat(2000), new Uint8Array(1)]), "1008 ZOOID_MALFORMED_MESSAGE"],
    ["a wrong pattern", encodeMessage(["subscribe", 1, "a.>.b", null]), "1008 ZOOID_INVALID_OPTION"],
    ["a payload too large", encodeMessage(["publish", "a", new Uint8Array(limits.payloadBytesMax + 1)]), "1008 ZOOID_TOO_LARGE"],
    ["a frame too large", new Uint8Array(limits.messageBytesMax + 128 * 1024), "1009"],
  ];

  test.each(malformed)("%s closes its socket with a reason, and no other session", async (_, bytes, reason) => {
    const [asker, answerer] = [await connect(), await connect()];
    answerer.subscribe("echo", (message) => message.reply?.(message.payload));
    await answerer.flush();
    const { socket, closed } = await speak();
    socket.on("error", () => undefined);
    socket.send(bytes);
    expect(await closed).toContain(reason);
    expect(await asker.request("echo", Uint8Array.of(1), { timeoutMs: 10_000 })).toEqual(Buffer.of(1));
  });

  test("replies without a request, and unknown numbers, are ignored", async () => {
    const { socket } = await speak();
    for (const frame of [
      ["reply", 99, new Uint8Array(1)],
      ["unsubscribe", 99],
    ])
      socket.send(encodeMessage(frame));
    const pong = once(socket, "message");
    socket.send(encodeMessage(["ping", 1]));
    await pong;
    socket.terminate();
  });

  test("a subscription above the bound closes the socket", async () => {
    const { socket, closed } = await speak();
    for (let n = 0; n <= limits.socketSubscriptionsMax; n++) socket.send(encodeMessage(["subscribe", n, "a", null]));
    expect(await closed).toContain("1008 ZOOID_INVALID_OPTION");
  });
});

describe("joining a broker", () => {
  test("a web page is refused unless its origin is allowed", async () => {
    const refused = new WebSocket(served.url, "zooid.1", { origin: "http://elsewhere.test" });
    const [error] = (await once(refused, "error")) as [Error];
    expect(error.message).toContain("403");
    await serveAgain({ origins: ["http://here.test"] });
    const { socket } = await speak({ origin: "http://here.test" });
    socket.terminate();
  });

  test("a process with another version of the protocol is refused", async () => {
    const socket = new WebSocket(served.url, "zooid.0");
    const [error] = (await once(socket, "error")) as [Error];
    expect(error.message).toContain("400");
  });

  test("every process is refused while the broker is stopped", async () => {
    broker.stop();
    expect(await rejected(connectWebSocket({ url: served.url }))).toMatchObject({ code: "ZOOID_DISCONNECTED" });
  });

  test("a refused process that resets its connection does not affect other processes", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await serveAgain({ server });
    broker.stop();
    const gone = new Promise((resolve) => {
      server.once("connection", (end) => end.once("close", resolve));
    });
    const socket = createConnection(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: zooid.1\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 503 /);
    socket.resetAndDestroy();
    await gone;
    broker.start();
    expect((await connect(`ws://127.0.0.1:${port}`)).status).toBe("connected");
    server.close();
  });

  test("a port in use is InvalidOptionError", async () => {
    const error = await rejected(serveBroker({ broker, port: served.port }));
    expect(error).toMatchObject({ code: "ZOOID_INVALID_OPTION", facts: { option: "port", reason: expect.stringContaining("is taken") } });
  });

  test("a path of the application's own HTTP server can serve the broker", async () => {
    const server: Server = createServer((_, response) => response.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await serveAgain({ server, path: "/zooid" });
    const { port } = server.address() as AddressInfo;
    const transport = await connect(`ws://127.0.0.1:${port}/zooid`);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("hello");
    await transport.close();
    await served.close();
    expect(server.listening).toBe(true);
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
});

describe("links", () => {
  test("a reader that does not keep up is cut off, and the others get all messages", async () => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (_: object, message: string) => void warned.push(message) };
    await serveAgain({ bufferedBytesMax: 1024 * 1024, log });
    const { socket, closed } = await speak();
    socket.send(encodeMessage(["subscribe", 1, "a", null]));
    const pong = once(socket, "message");
    socket.send(encodeMessage(["ping", 1]));
    await pong;
    socket.pause();
    const [sender, reader] = [await connect(), await connect()];
    const count = 64;
    const heard = receive(reader, ["a"], count, (message) => message.payload.length);
    await reader.flush();
    for (let n = 0; n < count; n++) {
      sender.publish("a", new Uint8Array(512 * 1024));
      await reader.flush();
      await sender.flush();
    }
    expect((await heard).length).toBe(count);
    expect(warned).toContain("a slow reader was cut off");
    socket.resume();
    expect(await closed).toContain("1006");
  });

  test("a broker that hangs is noticed by its pings, and requests in flight fail", async () => {
    // Relays the WebSocket until the test holds all bytes back.
    const sockets = new Set<Socket>();
    const relay = createTcpServer((from) => {
      const to = createConnection(served.port, "127.0.0.1");
      for (const socket of [from, to]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
      }
      from.pipe(to).pipe(from);
    });
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    const { port } = relay.address() as AddressInfo;
    const transport = await connectWebSocket({ url: `ws://127.0.0.1:${port}/`, pingIntervalMs: 50 });
    transports.push(transport);
    const other = await connect();
    const taken = receive(other, ["silent"], 1, () => undefined);
    await other.flush();
    const request = rejected(transport.request("silent", new Uint8Array(1), { timeoutMs: 3_600_000 }));
    await taken;
    const down = status(transport, "disconnected");
    for (const socket of sockets) {
      socket.unpipe();
      socket.pause();
    }
    await down;
    expect(await request).toMatchObject({ code: "ZOOID_DISCONNECTED" });
    await transport.close();
    for (const socket of sockets) socket.destroy();
    relay.close();
    await once(relay, "close");
  });

  test("the subscriptions of a process end with its connection", async () => {
    const [asker, leaver] = [await connect(), await connect()];
    const taken = receive(leaver, ["ask"], 1, () => undefined);
    await leaver.flush();
    const waiting = rejected(asker.request("ask", new Uint8Array(1), { timeoutMs: 50 }));
    await taken;
    await leaver.close();
    expect(await waiting).toMatchObject({ code: "ZOOID_TIMEOUT" });
    // The broker notices the end of a connection a moment later.
    const codeOf = async () => ((await rejected(asker.request("ask", new Uint8Array(1), { timeoutMs: 50 }))) as ZooidError).code;
    await expect.poll(codeOf, { timeout: 20_000 }).toBe("ZOOID_DISCONNECTED");
  });

  test("a service may start before its broker", async () => {
    const { port } = served;
    await served.close();
    const transport = await connectWebSocket({ url: `ws://127.0.0.1:${port}/`, waitForFirst: false });
    transports.push(transport);
    expect(transport.status).toBe("disconnected");
    const up = status(transport, "connected");
    served = await serveBroker({ broker, port });
    await up;
    await transport.flush();
  });
});
