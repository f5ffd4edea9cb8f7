import { describe, expect, test } from "vitest";
import { operations } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { encodeMessage, InternalError, seededRandom, tidZero, ZooidError } from "../../../core/index.js";
import { serverWorld } from "../../support/server-world.js";
import { newId } from "../../support/wire-client.js";

const messagesMin = 20_000;

describe("a storage server that receives malformed messages", () => {
  // ZOOID_FUZZ_SEED=<seed> replays one run.
  const seed = Number(process.env["ZOOID_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

  test(`answers each message with a typed error or a correct answer, and goes on serving (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const below = (end: number): number => Math.floor(random.fraction() * end);
    const one = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
    const world = await serverWorld({ sessionsMax: 50, transactionsOpenMax: 20, transactionTimeoutMs: 1_000, sessionTimeoutMs: 5_000 });
    const client = await world.client();
    const { tid } = await client.commit({ writes: { untouched: "as it was" } });
    await client.register();

    const strange = [
      null,
      true,
      -1,
      1.5,
      Number.NaN,
      2 ** 53,
      2n ** 63n,
      "",
      "\0",
      "\ud800",
      "a".repeat(600),
      new Date(0),
      [],
      {},
      [[[[]]]],
      { a: 1 },
    ];
    const session = () => (random.fraction() < 0.9 ? client.session : one(strange));
    const plausible = (): unknown =>
      one<() => unknown>([
        () => tid,
        () => tidZero,
        () => newId(),
        () => "noise/" + below(10),
        () => ["noise/" + below(10), Buffer.from("x")],
        () => [],
        () => below(3),
        () => random.fraction() < 0.5,
        () => client.registered.position.digest,
        () => one(strange),
      ])();
    const wellFormed = (): Uint8Array => {
      const writes = { [`noise/${below(10)}`]: random.fraction() < 0.8 ? "x" : undefined };
      return wire.commit.write(client.request({ snapshot: tid, reads: [`noise/${below(10)}`], writes }));
    };
    const message = (): Uint8Array => {
      const kind = below(5);
      if (kind === 0) return Buffer.from(Array.from({ length: below(40) }, () => below(256)));
      if (kind === 1) return wellFormed().subarray(0, below(60));
      if (kind === 2) {
        const bytes = Buffer.from(wellFormed());
        for (let flips = 1 + below(3); flips > 0; flips--) bytes[below(bytes.length)] = below(256);
        return bytes;
      }
      if (kind === 3) return encodeMessage([session(), ...Array.from({ length: below(7) }, plausible)]);
      return encodeMessage(one(strange));
    };
    const subjects = [
      ...operations.map((operation) => `${client.registered.instance}.${operation}`),
      `${client.registered.instance}.explode`,
      "register",
      "writer",
    ];
    const sender = world.broker.connect();
    let typed = 0;
    let unanswered = 0;
    for (let sent = 0; sent < messagesMin;) {
      const round: Promise<void>[] = [];
      for (let index = 0; index < 200; index++, sent++) {
        const subject = `zooid.test.storage.main.${one(subjects)}`;
        // A valid goodbye among them would end the session that the other messages use.
        const payload = subject.endsWith("bye") ? encodeMessage([one(strange)]) : message();
        if (random.fraction() < 0.1) {
          sender.publish(random.fraction() < 0.5 ? subject : "zooid.test.storage.main.invalidations", payload);
          continue;
        }
        unanswered++;
        round.push(
          sender.request(subject, payload, { timeoutMs: 3_600_000 }).then((answer) => {
            unanswered--;
            if (answer[0] === 0) return;
            try {
              wire.readAnswer(wire.nothing, answer);
            } catch (error) {
              expect(error).toBeInstanceOf(ZooidError);
              expect(error).not.toBeInstanceOf(InternalError);
              typed++;
            }
          }),
        );
      }
      await world.clock.advance(1_500);
      await Promise.all(round);
      // Valid votes among them wait until their time-out, and then end their session.
      await client.register();
    }
    expect([unanswered, typed > messagesMin / 2, world.fatal]).toEqual([0, true, []]);
    const { tid: snapshot } = (await client.alive()).position;
    const [untouched] = (await client.load(snapshot, "untouched")).revisions;
    expect(untouched?.serial).toBe(tid);
    await client.commit({ snapshot, writes: { after: "all" } });
  }, 60_000);
});
