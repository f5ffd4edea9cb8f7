import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Log } from "../../core/index.js";
import type { Transport } from "../../transport/index.js";
import { breakLinks, status, receive, rejected, thrown, bytes, read, timeoutMs, type Setup } from "./transport-steps.js";

/** Part 5 of the promises of transport/transport.ts. */
export function subscribingSuite(connect: (log?: Log) => Promise<Transport>, setup: () => Setup): void {
  describe("5. subscribing", () => {
    test("a handler stays subscribed over a broken link", async () => {
      const [sender, receiver] = [await connect(), await connect()];
      const heard = receive(receiver, ["a.*"], 1, (message) => message.subject);
      await breakLinks(setup(), [sender, receiver]);
      await receiver.flush();
      sender.publish("a.b", bytes(1));
      expect(await heard).toEqual(["a.b"]);
    });

    test("a handler subscribed without a link gets messages published on the next link", async () => {
      const transport = await connect();
      const down = status(transport, "disconnected");
      await setup().stop();
      await down;
      const heard = receive(transport, ["a"], 1, (message) => read(message.payload));
      const up = status(transport, "connected");
      await setup().start();
      await up;
      transport.publish("a", bytes(3));
      expect(await heard).toEqual([3]);
    });

    test("a message is never delivered inside the call of publish, nor a reply inside reply", async () => {
      const transport = await connect();
      let inside = false;
      const late = receive(transport, ["a"], 1, () => inside);
      await transport.flush();
      inside = true;
      transport.publish("a", bytes(1));
      inside = false;
      expect(await late).toEqual([false]);
    });

    test("* stands for one token and > for one or more", async () => {
      const [sender, receiver] = [await connect(), await connect()];
      const heard: string[] = [];
      for (const subject of ["a.*.c", "a.>", "*.*", ">"])
        receiver.subscribe(subject, (message) => heard.push(`${subject} ${message.subject}`));
      const end = receive(receiver, ["end"], 1, () => undefined);
      await receiver.flush();
      for (const subject of ["a", "a.b", "a.b.c", "b.b.c", "end"]) sender.publish(subject, bytes(0));
      await end;
      await receiver.flush();
      expect(heard.filter((line) => !line.endsWith(" end")).sort()).toEqual(
        ["*.* a.b", "> a", "> a.b", "> a.b.c", "> b.b.c", "a.*.c a.b.c", "a.> a.b", "a.> a.b.c"].sort(),
      );
    });

    test("each message goes to all plain subscribers and to one member of each queue", async () => {
      const sender = await connect();
      const members = [await connect(), await connect(), await connect()];
      const count = 300;
      const heard = { plain: 0, first: [0, 0, 0], second: 0 };
      const plain = receive(members[0] as Transport, ["job"], count, () => heard.plain++);
      members.forEach((member, n) => member.subscribe("job", () => (heard.first[n] = (heard.first[n] ?? 0) + 1), { queue: "first" }));
      members[1]?.subscribe("job", () => heard.second++, { queue: "second" });
      await Promise.all(members.map((member) => member.flush()));
      for (let n = 0; n < count; n++) sender.publish("job", bytes(n));
      await sender.flush();
      const ends = members.map((member, n) => receive(member, [`end.${n}`], 1, () => undefined));
      await Promise.all(members.map((member) => member.flush()));
      for (let n = 0; n < 3; n++) sender.publish(`end.${n}`, bytes(n));
      await Promise.all([plain, ...ends]);
      expect(heard.plain).toBe(count);
      expect(heard.second).toBe(count);
      expect(heard.first.reduce((sum, n) => sum + n, 0)).toBe(count);
      expect(Math.min(...heard.first)).toBeGreaterThan(0);
    });

    test("an unsubscribed handler hears nothing more, and the others go on", async () => {
      const [sender, receiver] = [await connect(), await connect()];
      const heard: number[] = [];
      const gone = receiver.subscribe("a", (message) => heard.push(read(message.payload)));
      const end = receive(receiver, ["a"], 2, () => undefined);
      await receiver.flush();
      sender.publish("a", bytes(1));
      await sender.flush();
      while (heard.length === 0) await turn();
      gone.unsubscribe();
      gone.unsubscribe();
      sender.publish("a", bytes(2));
      await end;
      expect(heard).toEqual([1]);
    });

    test("a payload is the receiver's own", async () => {
      const [sender, receiver] = [await connect(), await connect()];
      const kept: Uint8Array[] = [];
      const both = Promise.all([
        receive(receiver, ["a"], 2, (message) => message.payload.fill(9)),
        receive(receiver, ["a"], 2, (message) => kept.push(message.payload)),
      ]);
      await receiver.flush();
      sender.publish("a", bytes(1));
      sender.publish("a", bytes(2));
      await both;
      expect(kept.map(read)).toEqual([1, 2]);
    });

    test("a subject that a broker would misread is InvalidOptionError", async () => {
      const transport = await connect();
      const invalid = { code: "ZOOID_INVALID_OPTION", facts: { option: "subject" } };
      for (const subject of ["", ".", "a.", ".a", "a..b", "a b", "a\r\nPUB b 0", "a\0", "a.*", "a.>"]) {
        expect(thrown(() => transport.publish(subject, bytes(1)))).toMatchObject(invalid);
        expect(await rejected(transport.request(subject, bytes(1), { timeoutMs }))).toMatchObject(invalid);
      }
      for (const subject of ["", "a..b", "a b", "a.>.b", "a*", "a.b>"]) {
        expect(thrown(() => transport.subscribe(subject, () => undefined))).toMatchObject(invalid);
      }
      expect(thrown(() => transport.subscribe("a", () => undefined, { queue: "a b" }))).toMatchObject({ facts: { option: "queue" } });
    });
  });
}
