import { expect, test } from "vitest";
import type { Random } from "../../../core/index.js";
import { openCache } from "../../actors/cache/open.js";
import { CallContexts } from "../common/call-contexts.js";
import { CacheChecker } from "./cache-checker.js";
import { Database } from "./database.js";
import { CachedFunctions } from "./functions.js";

/** Dice for a pause of 40 ms; and for a pause of 1.2 ms, after which `flaky` fails. */
const pauses = 0.8;
const fails = 0.3;

test("the use of a stale value is counted when the value is given, so that a call that joins after the failure is excused too", async () => {
  const { cache, clock } = await openCache();
  const checker = new CacheChecker({ now: () => clock.monotonic(), staleMsMax: 1_000, callMsMax: 1_000 });
  const contexts = new CallContexts((sentence, facts) => checker.violated(11, sentence, facts));
  let dice = pauses;
  const random: Random = { fraction: () => dice, id: () => "id" };
  const functions = new CachedFunctions({ cache, clock, random, checker, contexts, database: new Database(checker) });
  const call = (what: "flaky" | "report") =>
    contexts.call(
      `${what} a/1`,
      () => functions[what]("a/1"),
      ({ run }) => run,
    );
  const { run } = await clock.settle(call("flaky"), 100);
  // The time to live of `flaky` is over.
  await clock.advance(300);
  dice = fails;
  const first = call("report");
  await clock.until(() => functions.stumblesOf("a/1") === 1, 100);
  dice = pauses;
  await clock.advance(0);
  const second = call("report");
  await clock.settle(Promise.all([first, second]), 100);
  expect((await first).run).toBe((await second).run);
  expect(run).toBeGreaterThan(0);
  expect(functions.stumblesOf("a/1")).toBe(2);
  expect(functions.stumblesOf("a/2")).toBe(0);
  await clock.settle(call("report"), 200);
  expect(functions.stumblesOf("a/1")).toBe(2);
  expect(checker.violations).toEqual([]);
});
