/** A client whose server answers and tells it anything: a real one, with somebody in between who changes what it says. */
import { afterEach, describe, expect, test } from "vitest";
import { openObjectClient } from "../../actors/object-client.js";
import type { ObjectClient } from "../../actors/object-client.js";
import { storagesSubject, storageSubjects } from "../../actors/messages.js";
import { createBroker } from "../../transport/in-process.js";
import { type Chance, seededChance, silentLog, ZooidError } from "../../words/index.js";
import { cacheDisk } from "../client-world.js";
import { serverWorld } from "../server-world.js";
import { below, mutated, oneOf } from "./mutations.js";

const calls = 3_000;
/** Simulated time in which each call must have ended: its time-outs, and some. */
const callTimeoutMs = 60_000;

const clients: ObjectClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
});

describe("a client whose server says anything", () => {
  const seed = Number(process.env["ZOOID_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

  test(`ends each call with a value or a typed error, and works again when it hears the truth (ZOOID_FUZZ_SEED=${seed} replays it)`, async () => {
    const chance = seededChance(seed);
    const world = await serverWorld();
    const { clock } = world;
    const loud: { readonly facts: object; readonly message: string }[] = [];
    const note = (facts: object, message: string) => void loud.push({ facts, message });
    const log = { ...silentLog, error: note, fatal: note };
    const between = await standBetween(world, chance);
    const client = await clock.settle(
      openObjectClient({
        realm: "test",
        storage: "main",
        client: "victim",
        transport: between.connect(log),
        cache: cacheDisk().open,
        clock,
        chance: seededChance(seed + 1),
        log,
        onOtherHistory: "discard",
        requestTimeoutMs: 1_000,
        waitTimeoutMs: 5_000,
      }),
      callTimeoutMs,
    );
    clients.push(client);
    await clock.settle(client.put("before", 1), callTimeoutMs);

    between.lies = true;
    let failed = 0;
    for (let call = 0; call < calls; call++) {
      const made = oneOf(chance, callsOf(client, chance));
      try {
        await clock.settle(made(), callTimeoutMs);
      } catch (error) {
        expect(error, `call ${call}`).toBeInstanceOf(ZooidError);
        failed++;
      }
      if (chance.fraction() < 0.05) await clock.advance(1_000);
    }
    expect(between.changed).toBeGreaterThan(calls / 4);
    expect(failed).toBeGreaterThan(calls / 20);
    expect(failed).toBeLessThan(calls);
    expect(loud, "nothing is logged as an error").toEqual([]);

    between.lies = false;
    await clock.advance(30_000);
    for (const key of ["after", "again"]) {
      await clock.settle(client.put(key, key), callTimeoutMs);
      expect(await clock.settle(client.get(key), callTimeoutMs)).toBe(key);
    }
    expect(loud).toEqual([]);
  }, 60_000);
});

function callsOf(client: ObjectClient, chance: Chance): readonly (() => Promise<unknown>)[] {
  const key = () => `noise/${below(chance, 30)}`;
  return [
    () => client.get(key()),
    () => client.getMany([key(), key(), key()]),
    () => client.put(key(), chance.fraction()),
    () => client.delete(key()),
    () => client.read((tx) => tx.get(key()), { serverSync: true }),
    () =>
      client.read(async (tx) => {
        const rows: unknown[] = [];
        for await (const row of tx.list("noise/", { limit: 1 + below(chance, 40) })) rows.push(row);
        return rows;
      }),
    () =>
      client.transact(async (tx) => {
        await tx.get(key());
        await tx.put(key(), chance.fraction());
      }),
    async () => {
      await using tx = await client.begin();
      await tx.put(key(), 1);
      await tx.vote();
      await tx.finish();
    },
  ];
}

/** A broker whose storage server is that of `world`, as heard through somebody who lies when told to. */
async function standBetween(world: Awaited<ReturnType<typeof serverWorld>>, chance: Chance) {
  const outside = createBroker({ clock: world.clock });
  const front = outside.connect();
  const back = world.broker.connect();
  const subjects = storageSubjects("test", "main");
  const state = { lies: false, changed: 0, connect: outside.connect.bind(outside) };
  const changes = (likely: number) => state.lies && chance.fraction() < likely;

  const answered = (bytes: Uint8Array): Uint8Array => {
    if (!changes(0.3)) return bytes;
    state.changed++;
    const [status = 0] = bytes;
    const head = chance.fraction() < 0.9 ? status : below(chance, 256);
    return Buffer.concat([Buffer.from(chance.fraction() < 0.98 ? [head] : []), mutated(bytes.subarray(1), chance)]);
  };
  for (const subject of [subjects.register, subjects.operation("*", "*"), storagesSubject("test")]) {
    front.subscribe(subject, ({ subject: at, payload, reply }) => {
      if (reply === undefined) return;
      void back.request(at, payload, { timeoutMs: 10_000 }).then(
        (bytes) => reply(answered(bytes)),
        () => undefined,
      );
    });
  }
  back.subscribe(subjects.invalidations, ({ payload }) => {
    if (changes(0.3)) {
      state.changed++;
      front.publish(subjects.invalidations, mutated(payload, chance));
      if (chance.fraction() < 0.5) return;
    }
    front.publish(subjects.invalidations, payload);
  });
  await front.flush();
  return state;
}
