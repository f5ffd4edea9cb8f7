import { afterEach, expect, test } from "vitest";
import { limits, TimeoutError } from "../../../core/index.js";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";
import type { WorldOptions } from "../../support/server-world.js";

const worlds: ClientWorld[] = [];

async function world(options?: WorldOptions): Promise<ClientWorld> {
  const made = await clientWorld(options);
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

test("after a long rest, transactions that begin together on different objects all commit", async () => {
  const { open, run, clock } = await world();
  const [a, b] = [(await open("a")).client, (await open("b")).client];
  await run(a.put("x", 1));
  await clock.advance(limits.outcomeAgeMs + 60_000);
  const [first, second] = [await run(a.begin()), await run(b.begin())];
  await run(first.put("a", 1));
  await run(second.put("b", 1));
  const tid = await run(first.finish());
  expect(await run(second.finish())).toBeGreaterThan(tid);
});

test("after a long rest, a lost commit is settled, even when other clients committed meanwhile", async () => {
  const { open, run, clock } = await world();
  const { client: a, transport } = await open("a");
  const { client: b } = await open("b");
  await run(a.put("x", 1));
  await clock.advance(limits.outcomeAgeMs + 60_000);
  const transaction = await run(a.begin());
  await run(transaction.put("a", 1));
  await run(b.put("b", 1));
  const lost = Promise.reject(new TimeoutError({ what: "commit", timeoutMs: limits.requestTimeoutMs }));
  transport.held.set("commit", lost);
  await expect(run(transaction.finish())).rejects.toMatchObject({ code: "ZOOID_TRANSACTION_ABORTED" });
  expect(await run(b.get("a"))).toBeUndefined();
});

test("after a long rest, a read that began just before the next commit is not overtaken by pruning", async () => {
  const { open, run, clock } = await world({ storage: { historyAgeMs: 3_600_000 }, pruningIntervalMs: 1_000 });
  const [a, b] = [(await open("a")).client, (await open("b")).client];
  await run(b.put("x", 1));
  await clock.advance(2 * 3_600_000);
  const transaction = await run(a.begin());
  await run(b.put("x", 2));
  await clock.advance(2_000);
  expect(await run(transaction.get("x"))).toBe(1);
  await run(transaction.abort());
});
