/** A client whose server answers and tells it anything: a real one, with somebody in between who changes what it says. */
import { afterEach, describe, expect, test } from "vitest";
import { openObjectClient } from "../../../actors/client/object-client.js";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import * as wire from "../../../actors/protocol/codec.js";
import { type Random, seededRandom, silentLog, ZooidError } from "../../../core/index.js";
import { cacheDisk } from "../../support/client-world.js";
import { serverWorld } from "../../support/server-world.js";
import { standBetween } from "./between.js";
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
    const random = seededRandom(seed);
    const world = await serverWorld();
    const { clock } = world;
    const loud: { readonly facts: object; readonly message: string }[] = [];
    const note = (facts: object, message: string) => void loud.push({ facts, message });
    const log = { ...silentLog, error: note, fatal: note };
    const between = await standBetween(world);
    let changed = 0;
    const lie = (likely: number): boolean => {
      if (random.fraction() >= likely) return false;
      changed++;
      return true;
    };
    const answer = (operation: string, bytes: Uint8Array): Uint8Array => {
      if (!lie(0.3)) return bytes;
      const [status = 0] = bytes;
      const head = random.fraction() < 0.9 ? status : below(random, 256);
      const changedBytes = Buffer.concat([Buffer.from(random.fraction() < 0.98 ? [head] : []), mutated(bytes.subarray(1), random)]);
      return tellsOfCommit(operation, changedBytes) ? bytes : changedBytes;
    };
    const tell = (bytes: Uint8Array): Uint8Array[] => {
      if (!lie(0.3)) return [bytes];
      const lying = mutated(bytes, random);
      const isAlone = random.fraction() < 0.5;
      if (lastTold(lying) > lastTold(bytes)) return [bytes];
      return isAlone ? [lying] : [lying, bytes];
    };
    const client = await clock.settle(
      openObjectClient({
        realm: "test",
        storage: "main",
        client: "victim",
        transport: between.connect(log),
        cache: cacheDisk().open,
        clock,
        random: seededRandom(seed + 1),
        log,
        onOtherHistory: "discard",
        requestTimeoutMs: 1_000,
        waitTimeoutMs: 5_000,
      }),
      callTimeoutMs,
    );
    clients.push(client);
    await clock.settle(client.put("before", 1), callTimeoutMs);

    Object.assign(between, { answer, tell });
    let failed = 0;
    for (let call = 0; call < calls; call++) {
      const made = oneOf(random, callsOf(client, random));
      try {
        await clock.settle(made(), callTimeoutMs);
      } catch (error) {
        expect(error, `call ${call}`).toBeInstanceOf(ZooidError);
        failed++;
      }
      if (random.fraction() < 0.05) await clock.advance(1_000);
    }
    expect(changed).toBeGreaterThan(calls / 4);
    expect(failed).toBeGreaterThan(calls / 20);
    expect(failed).toBeLessThan(calls);
    expect(loud, "nothing is logged as an error").toEqual([]);

    between.tellTheTruth();
    await clock.advance(30_000);
    for (const key of ["after", "again"]) {
      await clock.settle(client.put(key, key), callTimeoutMs);
      expect(await clock.settle(client.get(key), callTimeoutMs)).toBe(key);
    }
    expect(loud).toEqual([]);
  }, 60_000);
});

function callsOf(client: ObjectClient, random: Random): readonly (() => Promise<unknown>)[] {
  const key = () => `noise/${below(random, 30)}`;
  return [
    () => client.get(key()),
    () => client.getMany([key(), key(), key()]),
    () => client.put(key(), random.fraction()),
    () => client.delete(key()),
    () => client.read((tx) => tx.get(key()), { serverSync: true }),
    () =>
      client.read(async (tx) => {
        const rows: unknown[] = [];
        for await (const row of tx.list("noise/", { limit: 1 + below(random, 40) })) rows.push(row);
        return rows;
      }),
    () =>
      client.transact(async (tx) => {
        await tx.get(key());
        await tx.put(key(), random.fraction());
      }),
    async () => {
      await using tx = await client.begin();
      await tx.put(key(), 1);
      await tx.vote();
      await tx.finish();
    },
  ];
}

/** The last transaction that clients are told of, 0 for none: one later than there is moves them to where the server is not. */
function lastTold(bytes: Uint8Array): number {
  try {
    const told = wire.broadcast.read(bytes);
    return told.type === "invalidations" ? (told.transactions.at(-1)?.tid ?? 0) : 0;
  } catch {
    return 0;
  }
}

/** Says that something committed, as a server does: a client has nobody else to ask, and never reads anything older from then on. */
function tellsOfCommit(operation: string, bytes: Uint8Array): boolean {
  try {
    if (operation === "settle") return wire.readAnswer(wire.settled, bytes).committed !== undefined;
    return (operation === "commit" || operation === "finish") && wire.readAnswer(wire.committed, bytes).tid > 0;
  } catch {
    return false;
  }
}
