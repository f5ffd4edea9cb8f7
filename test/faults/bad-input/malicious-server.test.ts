/** A client whose server sends it anything: a real server, behind a relay that changes its messages. */
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
/** Simulated time within which each call must end: longer than its time-outs. */
const callTimeoutMs = 60_000;

const clients: ObjectClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
});

describe("a client whose server sends anything", () => {
  const seed = Number(process.env["ZOOID_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

  test(`ends each call with a value or a typed error, and works again once messages arrive unchanged (ZOOID_FUZZ_SEED=${seed} replays it)`, async () => {
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
      return reportsCommit(operation, changedBytes) ? bytes : changedBytes;
    };
    const broadcast = (bytes: Uint8Array): Uint8Array[] => {
      if (!lie(0.3)) return [bytes];
      const lying = mutated(bytes, random);
      const isAlone = random.fraction() < 0.5;
      if (lastTid(lying) > lastTid(bytes)) return [bytes];
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

    Object.assign(between, { answer, broadcast });
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

    between.changeNothing();
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

/**
 * Tid of the last transaction in a broadcast, 0 for none. A later tid than the server has would move clients past the
 * server.
 */
function lastTid(bytes: Uint8Array): number {
  try {
    const message = wire.broadcast.read(bytes);
    return message.type === "invalidations" ? (message.transactions.at(-1)?.tid ?? 0) : 0;
  } catch {
    return 0;
  }
}

/**
 * Whether the answer reports a commit. A client cannot check such a report elsewhere, and never reads anything older
 * after it.
 */
function reportsCommit(operation: string, bytes: Uint8Array): boolean {
  try {
    if (operation === "settle") return wire.readAnswer(wire.settled, bytes).committed !== undefined;
    return (operation === "commit" || operation === "finish") && wire.readAnswer(wire.committed, bytes).tid > 0;
  } catch {
    return false;
  }
}
