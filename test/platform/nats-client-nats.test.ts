import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { connect, type NatsConnection, type Status } from "nats";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { startNatsServer } from "../support/nats-server.js";
import { type Broker, collect, startBroker } from "./broker.js";

/** Resolves at the first event of this type. */
async function status(connection: NatsConnection, type: Status["type"]): Promise<Status> {
  for await (const event of connection.status()) if (event.type === type) return event;
  throw new Error("the connection ended");
}

async function withBroker<T>(use: (broker: Broker) => Promise<T>, options = {}): Promise<T> {
  await using broker = await startBroker(options);
  return await use(broker);
}

describe("the NATS client", () => {
  test("messages of one connection arrive in the order of publishing, over all subjects and replies", async () => {
    await withBroker(async ({ server, connection }) => {
      const other = await connect({ servers: server.url });
      onTestFinished(() => other.close());
      const order: string[] = [];
      const take = (_: Error | null, message: { readonly data: Uint8Array }) => void order.push(Buffer.from(message.data).toString());
      const inbox = "_INBOX.one";
      for (const subject of ["a", "b.*", inbox]) other.subscribe(subject, { callback: take });
      await other.flush();
      for (let count = 0; count < 900; count++) connection.publish(["a", "b.c", inbox][count % 3] ?? "", String(count));
      await connection.flush();
      await other.flush();
      expect(order).toEqual(Array.from({ length: 900 }, (_, index) => String(index)));
    });
  });

  test("publish neither sends nor throws while the link is down: the message is gone", async () => {
    await withBroker(async ({ server, connection }) => {
      const heard = collect(connection, "a");
      await connection.flush();
      const down = status(connection, "disconnect");
      await server.kill();
      await down;
      connection.publish("a", "while it was down");
      const up = status(connection, "reconnect");
      await server.restart();
      await up;
      connection.publish("a", "after");
      await heard.reaches(1);
      expect(heard.messages.map((message) => message.string())).toEqual(["after"]);
    });
  });

  test("a pending request does not fail when the link goes down, neither then nor on the next link", async () => {
    await withBroker(async ({ server, connection }) => {
      connection.subscribe("silent", { callback: () => undefined });
      await connection.flush();
      let isSettled = false;
      const settled = connection.request("silent", "", { timeout: 60_000 }).catch(() => undefined);
      void settled.then(() => {
        isSettled = true;
      });
      const up = status(connection, "reconnect");
      await server.restart();
      await up;
      await connection.flush();
      expect(isSettled).toBe(false);
      await connection.close();
      await settled;
    });
  });

  test("a callback that throws ends the reading of its connection, which still looks open", async () => {
    await withBroker(async ({ server, connection }) => {
      const said = vi.spyOn(console, "log");
      const readerEnded = new Promise<void>((resolve) => void said.mockImplementation(() => resolve()));
      onTestFinished(() => said.mockRestore());
      const deaf = await connect({ servers: server.url, reconnect: false });
      const heard: string[] = [];
      deaf.subscribe("a", {
        callback: (_, message) => {
          heard.push(message.string());
          throw new Error("a callback failed");
        },
      });
      await deaf.flush();
      connection.publish("a", "one");
      await readerEnded;
      connection.publish("a", "two");
      const answered = deaf.flush().then(
        () => true,
        () => true,
      );
      for (let count = 0; count < 5; count++) await connection.flush();
      expect(await Promise.race([answered, Promise.resolve(false)])).toBe(false);
      expect(deaf.isClosed()).toBe(false);
      expect(heard).toEqual(["one"]);
      await deaf.close();
    });
  });

  test("a request without a receiver is answered at once by the server: an empty message with status 503", async () => {
    await withBroker(async ({ connection }) => {
      const heard = collect(connection, "inbox");
      await connection.flush();
      connection.publish("unserved", "x", { reply: "inbox" });
      await heard.reaches(1);
      expect(heard.messages[0]?.headers?.code).toBe(503);
      expect(heard.messages[0]?.data).toHaveLength(0);
    });
  });

  test("a server's max_payload is 1 MiB by default, and a publish above it throws", async () => {
    await withBroker(async ({ connection }) => {
      expect(connection.info?.max_payload).toBe(1024 * 1024);
      expect(() => connection.publish("a", new Uint8Array(1024 * 1024 + 1))).toThrow(/max_payload/i);
    });
  });

  test("dialling a server that accepts and says nothing leaves its socket open after the time-out", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    // The first socket is still open when a second dial has timed out as well.
    for (const dials of [1, 2]) {
      await expect(connect({ servers: `127.0.0.1:${port}`, timeout: 50, reconnect: false })).rejects.toThrow();
      expect(sockets).toHaveLength(dials);
    }
    expect(sockets.map(({ readableEnded, destroyed }) => readableEnded || destroyed)).toEqual([false, false]);
  });
});

describe("a server with permissions", () => {
  const config = `
    authorization {
      users: [
        { user: "all", password: "x" }
        { user: "some", password: "x", permissions: { publish: ["a"], subscribe: ["b", "_INBOX.>"] } }
      ]
    }`;

  test("a server refuses a publish and a subscription by an error event that names the subject, after which the connection goes on", async () => {
    await using server = await startNatsServer({ config });
    await using some = await closing(connect({ servers: server.url, user: "some", pass: "x" }));
    const { connection } = some;
    const seen: unknown[] = [];
    void (async () => {
      for await (const event of connection.status()) if (event.type === "error") seen.push(event.error);
    })();
    const refused = new Promise<Error | null>((resolve) => {
      connection.subscribe("c", { callback: (error) => resolve(error) });
    });
    connection.publish("d", "x");
    expect(await refused).toMatchObject({ name: "PermissionViolationError", operation: "subscription", subject: "c" });
    // The events arrive through an iterator: the last event comes one or two turns of the event loop after its message.
    await expect
      .poll(() => seen)
      .toContainEqual(expect.objectContaining({ name: "PermissionViolationError", operation: "publish", subject: "d" }));
    expect(connection.isClosed()).toBe(false);
  });

  test("a server does not answer a request on a refused subject at all, not even with the status for no receiver", async () => {
    await using server = await startNatsServer({ config });
    await using some = await closing(connect({ servers: server.url, user: "some", pass: "x" }));
    const { connection } = some;
    const heard = collect(connection, "_INBOX.mine");
    await connection.flush();
    connection.publish("d", "x", { reply: "_INBOX.mine" });
    connection.publish("a", "x", { reply: "_INBOX.mine" });
    await heard.reaches(1);
    await connection.flush();
    expect(heard.messages).toHaveLength(1);
  });
});

test("nats-server accepts sync_interval: always from 2.10 on, and does not start with it before", async () => {
  const config = `jetstream { store_dir: "$folder/data", sync_interval: always }`;
  const { isKnown, version } = await withBroker((broker) =>
    Promise.resolve({ isKnown: broker.isAtLeast("2.10.0"), version: broker.connection.info?.version }),
  );
  const started = await startNatsServer({ config }).then(
    (server) => server.stop().then(() => true),
    () => false,
  );
  expect({ version, started }).toEqual({ version, started: isKnown });
});

async function closing(connected: Promise<NatsConnection>) {
  const connection = await connected;
  return { connection, [Symbol.asyncDispose]: () => connection.close() };
}
