import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type Msg, parseOptions, ProtocolHandler, QueuedIteratorImpl, setTransportFactory, type Status, SubscriptionImpl } from "nats";
import { NodeTransport, nodeResolveHost } from "nats/lib/node_transport.js";
import { expect, onTestFinished, test } from "vitest";
import { startNatsServer } from "../support/nats-server.js";

/** A protocol handler for one server, which dials once, and the transport that it makes. */
function handlerOf(address: string) {
  const transport = new NodeTransport();
  const protocol = new ProtocolHandler(parseOptions({ servers: [address], reconnect: false, timeout: 60_000 }), {
    publish: (...message) => protocol.publish(...message),
  });
  const dial = () => {
    setTransportFactory({ factory: () => transport, dnsResolveFn: nodeResolveHost });
    protocol.server = protocol.servers.getCurrentServer();
    return protocol.dial(protocol.server);
  };
  const abandon = () => {
    protocol.raceTimer?.cancel();
    protocol.heartbeats.cancel();
    protocol.transport.discard();
    protocol.resetOutbound();
    void protocol.close();
  };
  return { protocol, transport, dial, abandon };
}

/** A listener of a handler that gets events without a turn of the event loop between. */
class Tap extends QueuedIteratorImpl<Status> {
  readonly events: string[] = [];

  override push(event: Status | (() => void)): void {
    if (typeof event !== "function") this.events.push(event.type);
  }
}

/** A server that accepts connections and gives them to `accept`. */
async function listen(accept: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    accept(socket);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a protocol handler without a connection around it dials, knows the greeting, publishes and subscribes", async () => {
  await using server = await startNatsServer();
  const { protocol, dial, abandon } = handlerOf(`127.0.0.1:${server.port}`);
  await dial();
  onTestFinished(abandon);
  expect(protocol.connected).toBe(true);
  expect(protocol.info?.max_payload).toBe(1024 * 1024);
  const heard: Msg[] = [];
  const subscription = protocol.subscribe(new SubscriptionImpl(protocol, "a", { callback: (_, message) => void heard.push(message) }));
  protocol.publish("a", Buffer.from("one"));
  await protocol.flush();
  subscription.unsubscribe();
  protocol.publish("a", Buffer.from("two"));
  await protocol.flush();
  expect(heard.map((message) => message.string())).toEqual(["one"]);
});

test("a handler that may not reconnect pushes the loss to its listeners at once, and dials nothing again", async () => {
  await using server = await startNatsServer();
  const { protocol, dial } = handlerOf(`127.0.0.1:${server.port}`);
  await dial();
  const tap = new Tap();
  protocol.listeners.push(tap);
  await server.kill();
  await protocol.transport.closed();
  expect(tap.events[0]).toBe("disconnect");
  expect(protocol.connected).toBe(false);
  // `close` waits for the iterator of each listener, which ends with `stop`.
  await protocol.closed;
  expect(tap.events).toEqual(["disconnect", "close"]);
});

test("the transport of a dial is made before `dial` returns, by the factory that was set last", async () => {
  const address = await listen(() => undefined);
  const [first, second] = [handlerOf(address), handlerOf(address)];
  const dials = [first.dial(), second.dial()];
  expect(first.protocol.transport).toBe(first.transport);
  expect(second.protocol.transport).toBe(second.transport);
  for (const { abandon } of [first, second]) abandon();
  await Promise.allSettled(dials);
});

test("`discard` closes the socket of a dial that has no answer yet", async () => {
  let accepted!: (socket: Socket) => void;
  const accept = new Promise<Socket>((resolve) => (accepted = resolve));
  const { dial, abandon } = handlerOf(await listen(accepted));
  void dial().catch(() => undefined);
  const socket = await accept;
  const closed = once(socket.resume(), "close");
  abandon();
  await closed;
});

test("a server that closes before its greeting makes `dial` reject with an error without a cause", async () => {
  const { dial } = handlerOf(await listen((socket) => socket.destroy()));
  await expect(dial()).rejects.toThrow("error connecting - node provided an undefined error");
});
