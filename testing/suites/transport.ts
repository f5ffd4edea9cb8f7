import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LinkStatus, Message, Transport } from "../../transport/index.js";
import { limits, type Log, silentLog } from "../../core/index.js";
import { subscribingSuite } from "./transport-subscribing.js";
import {
  breakLinks,
  status,
  receive,
  rejected,
  thrown,
  pattern,
  bytes,
  read,
  text,
  untext,
  timeoutMs,
  type Setup,
} from "./transport-steps.js";

export type { Setup } from "./transport-steps.js";

/** Tests a transport against the numbered promises of transport/transport.ts. */
export function transportSuite(name: string, makeSetup: () => Promise<Setup>): void {
  describe(`the transport ${name}`, () => {
    let setup: Setup;
    const open: Transport[] = [];
    const connect = async (log?: Log): Promise<Transport> => {
      const transport = await setup.connect(log);
      open.push(transport);
      return transport;
    };

    beforeEach(async () => {
      setup = await makeSetup();
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((transport) => transport.close()));
      await setup.close();
    });

    describe("1. order", () => {
      test("messages of one transport arrive in the order of publishing, over all subjects", async () => {
        const [sender, receiver] = [await connect(), await connect()];
        const count = 3_000;
        const numbers = receive(receiver, ["a.x", "b.*", "c.>"], count, (message) => read(message.payload));
        await receiver.flush();
        for (let n = 0; n < count; n++) sender.publish(["a.x", "b.y", "c.y.z"][n % 3] as string, bytes(n));
        expect(await numbers).toEqual(Array.from({ length: count }, (_, n) => n));
      });

      test("a message published before a reply arrives before the reply", async () => {
        const [server, client] = [await connect(), await connect()];
        const heard: number[] = [];
        server.subscribe("ask", (message) => {
          server.publish("news", message.payload);
          message.reply?.(message.payload);
        });
        client.subscribe("news", (message) => heard.push(read(message.payload)));
        await Promise.all([server.flush(), client.flush()]);
        const early: number[] = [];
        await Promise.all(
          Array.from({ length: 200 }, async (_, n) => {
            await client.request("ask", bytes(n), { timeoutMs });
            if (!heard.includes(n)) early.push(n);
          }),
        );
        expect(early).toEqual([]);
      });

      test("a split reply keeps its place between messages published before and after it", async () => {
        const [server, client] = [await connect(), await connect()];
        const heard: string[] = [];
        server.subscribe("ask", (message) => {
          server.publish("news", text("before"));
          message.reply?.(new Uint8Array(server.payloadBytesMax * 2));
          server.publish("news", text("after"));
        });
        const both = receive(client, ["news"], 2, (message) => heard.push(untext(message.payload)));
        await Promise.all([server.flush(), client.flush()]);
        await client.request("ask", bytes(0), { timeoutMs }).then(() => expect(heard).toContain("before"));
        await both;
        expect(heard).toEqual(["before", "after"]);
      });
    });

    describe("2. loss", () => {
      test("nothing arrives twice or out of order over links that break, and messages published on the next link arrive", async () => {
        const [sender, receiver] = [await connect(), await connect()];
        const heard: number[] = [];
        let last: (() => void) | undefined;
        const done = new Promise<void>((resolve) => (last = resolve));
        receiver.subscribe("n", (message) => {
          heard.push(read(message.payload));
          if (heard.at(-1) === 599) last?.();
        });
        for (let round = 0; round < 3; round++) {
          await receiver.flush();
          for (let n = 0; n < 200; n++) sender.publish("n", bytes(round * 200 + n));
          if (round < 2) await breakLinks(setup, [sender, receiver]);
        }
        await done;
        expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
        expect(heard.slice(-200)).toEqual(Array.from({ length: 200 }, (_, n) => 400 + n));
      });
    });

    describe("3. no silence", () => {
      test("without a link publish throws, and request and flush reject", async () => {
        const transport = await connect();
        const down = status(transport, "disconnected");
        await setup.stop();
        await down;
        expect(transport.status).toBe("disconnected");
        const disconnected = expect.objectContaining({ code: "ZOOID_DISCONNECTED" });
        expect(thrown(() => transport.publish("a", bytes(1)))).toEqual(disconnected);
        expect(await rejected(transport.request("a", bytes(1), { timeoutMs }))).toEqual(disconnected);
        expect(await rejected(transport.flush())).toEqual(disconnected);
      });

      test("requests in flight when the link drops reject at once, long before their time-out", async () => {
        const [server, client] = [await connect(), await connect()];
        const taken = receive(server, ["silent"], 3, () => undefined);
        await server.flush();
        const requests = [1, 2, 3].map((n) => rejected(client.request("silent", bytes(n), { timeoutMs: 3_600_000 })));
        await taken;
        await setup.stop();
        for (const error of await Promise.all(requests))
          expect(error).toMatchObject({ code: "ZOOID_DISCONNECTED", transient: true, isUnheard: false });
      });

      test("a request without a responder rejects with DisconnectedError, long before its time-out", async () => {
        const client = await connect();
        const request = client.request("no.responder", bytes(1), { timeoutMs: 3_600_000 });
        expect(await rejected(request)).toMatchObject({ code: "ZOOID_DISCONNECTED", isUnheard: true, facts: { subject: "no.responder" } });
        expect(client.status).toBe("connected");
        const large = client.request("no.responder", new Uint8Array(3 * client.payloadBytesMax), { timeoutMs: 3_600_000 });
        expect(await rejected(large)).toMatchObject({ code: "ZOOID_DISCONNECTED" });
      });

      test("requests without an answer time out, each at its own time, and a late answer does no harm", async () => {
        const [server, client] = [await connect(), await connect()];
        const waiting: Message[] = [];
        const taken = receive(server, ["silent"], 2, (message) => waiting.push(message));
        await server.flush();
        const order: string[] = [];
        const long = rejected(client.request("silent", bytes(1), { timeoutMs: 1_000 })).finally(() => order.push("long"));
        const short = rejected(client.request("silent", bytes(2), { timeoutMs: 20 })).finally(() => order.push("short"));
        await taken;
        expect(await short).toMatchObject({ code: "ZOOID_TIMEOUT", facts: { timeoutMs: 20 } });
        expect(await long).toMatchObject({ code: "ZOOID_TIMEOUT", facts: { timeoutMs: 1_000 } });
        expect(order).toEqual(["short", "long"]);
        for (const message of waiting) message.reply?.(bytes(0));
        await server.flush();
        const answered = receive(server, ["quick"], 1, (message) => message.reply?.(bytes(7)));
        await server.flush();
        expect(read(await client.request("quick", bytes(0), { timeoutMs }))).toBe(7);
        await answered;
      });

      test("an abort rejects with its reason, before sending or while waiting", async () => {
        const [server, client] = [await connect(), await connect()];
        const taken = receive(server, ["silent"], 1, () => undefined);
        await server.flush();
        const reason = new Error("enough");
        const aborted = client.request("silent", bytes(1), { timeoutMs, signal: AbortSignal.abort(reason) });
        expect(await rejected(aborted)).toBe(reason);
        const controller = new AbortController();
        const waiting = rejected(client.request("silent", bytes(1), { timeoutMs, signal: controller.signal }));
        await taken;
        controller.abort(reason);
        expect(await waiting).toBe(reason);
      });

      test("a status listener gets each change until it is removed", async () => {
        const transport = await connect();
        const seen: LinkStatus[] = [];
        const unheard: LinkStatus[] = [];
        transport.onStatus((now) => {
          seen.push(now);
          throw new Error("a listener may throw");
        });
        transport.onStatus((now) => unheard.push(now))();
        expect(transport.address).not.toBe("");
        await breakLinks(setup, [transport]);
        await transport.close();
        expect(seen).toEqual(["disconnected", "connected", "closed"]);
        expect(unheard).toEqual([]);
      });
    });

    describe("4. size", () => {
      test("a publish of payloadBytesMax arrives, one byte more is TooLargeError", async () => {
        const [sender, receiver] = [await connect(), await connect()];
        const sizeMax = sender.payloadBytesMax;
        const arrived = receive(receiver, ["size"], 2, (message) => message.payload.length);
        await receiver.flush();
        sender.publish("size", new Uint8Array(0));
        sender.publish("size", new Uint8Array(sizeMax));
        expect(thrown(() => sender.publish("size", new Uint8Array(sizeMax + 1)))).toMatchObject({
          code: "ZOOID_TOO_LARGE",
          facts: { size: sizeMax + 1, sizeMax },
        });
        expect(await arrived).toEqual([0, sizeMax]);
      });

      test("requests and replies arrive whole up to messageBytesMax, several at once", async () => {
        const [server, client] = [await connect(), await connect()];
        server.subscribe("echo", (message) => message.reply?.(message.payload));
        await server.flush();
        const sizes = [client.payloadBytesMax, client.payloadBytesMax + 1, 5 * 1024 * 1024 + 17, limits.messageBytesMax];
        const payloads = sizes.map((size, n) => pattern(size, n));
        const replies = await Promise.all(payloads.map((payload) => client.request("echo", payload, { timeoutMs: 20_000 })));
        expect(replies.map((reply, n) => Buffer.compare(reply, payloads[n] as Uint8Array))).toEqual([0, 0, 0, 0]);
      });

      test("more than messageBytesMax is TooLargeError at the sender, and nothing is sent", async () => {
        const [server, client] = [await connect(), await connect()];
        const tooLarge = new Uint8Array(limits.messageBytesMax + 1);
        const errors: unknown[] = [];
        const heard: number[] = [];
        server.subscribe("ask", (message) => {
          heard.push(message.payload.length);
          errors.push(thrown(() => message.reply?.(tooLarge)));
          message.reply?.(bytes(1));
        });
        await server.flush();
        const error = { code: "ZOOID_TOO_LARGE", facts: { sizeMax: limits.messageBytesMax } };
        expect(await rejected(client.request("ask", tooLarge, { timeoutMs }))).toMatchObject(error);
        expect(read(await client.request("ask", bytes(5), { timeoutMs }))).toBe(1);
        expect(errors).toEqual([expect.objectContaining({ code: "ZOOID_TOO_LARGE" })]);
        expect(heard).toEqual([4]);
      });
    });

    subscribingSuite(connect, () => setup);

    describe("6. errors", () => {
      test("a handler that throws or rejects is logged and harms nothing else", async () => {
        const logged: string[] = [];
        const log = { ...silentLog, error: (_: object, message: string) => void logged.push(message) };
        const [sender, receiver] = [await connect(), await connect(log)];
        receiver.subscribe("a", () => {
          throw new Error("thrown by a handler");
        });
        // oxlint-disable-next-line typescript/no-misused-promises -- the test makes this mistake on purpose
        receiver.subscribe("a", () => Promise.reject(new Error("rejected by a handler")));
        const heard = receive(receiver, ["a"], 2, (message) => read(message.payload));
        await receiver.flush();
        const asked = rejected(sender.request("a", bytes(1), { timeoutMs: 20 }));
        sender.publish("a", bytes(2));
        expect(await heard).toEqual([1, 2]);
        expect(await asked).toMatchObject({ code: "ZOOID_TIMEOUT" });
        expect(receiver.status).toBe("connected");
        expect(logged.sort()).toEqual(["a handler rejected", "a handler rejected", "a handler threw", "a handler threw"]);
      });
    });

    describe("close", () => {
      test("delivers all published messages", async () => {
        const [sender, receiver] = [await connect(), await connect()];
        const count = 1_000;
        const heard = receive(receiver, ["a"], count, () => undefined);
        await receiver.flush();
        // More bytes than the buffers of the operating system take at once.
        for (let n = 0; n < count; n++) sender.publish("a", new Uint8Array(32 * 1024));
        await sender.close();
        expect((await heard).length).toBe(count);
      });

      test("rejects requests in flight with ClosedError, ends subscriptions, and refuses later calls", async () => {
        const [sender, transport] = [await connect(), await connect()];
        const heard: number[] = [];
        transport.subscribe("a", (message) => heard.push(read(message.payload)));
        const taken = receive(sender, ["silent"], 1, () => undefined);
        await Promise.all([transport.flush(), sender.flush()]);
        const request = rejected(transport.request("silent", bytes(1), { timeoutMs: 3_600_000 }));
        await taken;
        await Promise.all([transport.close(), transport.close()]);
        const closed = { code: "ZOOID_CLOSED" };
        expect(await request).toMatchObject(closed);
        expect(transport.status).toBe("closed");
        expect(thrown(() => transport.publish("a", bytes(1)))).toMatchObject(closed);
        expect(thrown(() => transport.subscribe("a", () => undefined))).toMatchObject(closed);
        expect(await rejected(transport.request("a", bytes(1), { timeoutMs }))).toMatchObject(closed);
        expect(await rejected(transport.flush())).toMatchObject(closed);
        sender.publish("a", bytes(1));
        await sender.flush();
        expect(heard).toEqual([]);
      });

      test("works without a link, and a closed transport does not come back", async () => {
        const transport = await connect();
        const other = await connect();
        const down = Promise.all([status(transport, "disconnected"), status(other, "disconnected")]);
        await setup.stop();
        await down;
        await transport.close();
        const up = status(other, "connected");
        await setup.start();
        await up;
        expect(transport.status).toBe("closed");
      });
    });
  });
}
