import { afterEach, expect, test } from "vitest";
import { delay, silentLog, type Log } from "../../../core/index.js";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";

const worlds: ClientWorld[] = [];

/** A server that logs a snapshot held open for 20 s, and its warnings. */
async function world() {
  const warnings: { readonly facts: object; readonly message: string }[] = [];
  const log: Log = { ...silentLog, warn: (facts, message) => void warnings.push({ facts, message }) };
  const made = await clientWorld({ log, storage: { snapshotRetentionMs: 10_000 } });
  worlds.push(made);
  return { ...made, warnings };
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

test("a transaction that is begun and never ended is logged once, with its client and snapshot", async () => {
  const { open, run, clock, warnings } = await world();
  const { client } = await open("forgetful");
  await run(client.put("x", 1));
  const forgotten = await run(client.begin());
  await run(client.put("x", 2));
  await clock.advance(20_000);
  expect(warnings).toEqual([]);
  await clock.advance(20_000);
  expect(warnings).toMatchObject([{ facts: { client: "forgetful", snapshot: forgotten.snapshot }, message: /snapshot open/ }]);
  await forgotten.abort();
  await run(client.begin());
  await run(client.put("x", 3));
  await clock.advance(40_000);
  expect(warnings).toHaveLength(2);
});

test("successive transactions, and an open transaction on a storage at rest, are not logged", async () => {
  const { open, run, clock, warnings } = await world();
  const { client } = await open("busy");
  await run(client.put("x", 0));
  // The snapshot is the last transaction of the storage, however old that becomes.
  const resting = await run(client.begin());
  await clock.advance(60_000);
  for (let n = 1; n <= 10; n++) {
    const reading = client.read(() => delay(clock, 9_000));
    await run(client.put("x", n));
    await run(reading);
    if (n === 1) await resting.abort();
  }
  expect(warnings).toEqual([]);
});
