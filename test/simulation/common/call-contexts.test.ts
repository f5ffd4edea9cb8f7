import { beforeEach, describe, expect, test } from "vitest";
import { CallContexts } from "./call-contexts.js";

const waits = "a computation begins in the context of a call that waits for it";
const madeFor = "a computation runs in the context of the call that it is made for";

describe("contexts of calls", () => {
  let contexts: CallContexts;
  let violations: string[] = [];

  beforeEach(() => {
    violations = [];
    contexts = new CallContexts((sentence) => violations.push(sentence));
  });

  const call = (key: string, run: () => number | Promise<number>) => contexts.call(key, run, (given) => given);

  test("are right for calls that compute, find a kept result, or compute within another call", async () => {
    const kept = await call("f", () => contexts.begins("f"));
    await call("f", () => kept);
    await call("g", async () => {
      const run = contexts.begins("g");
      await call("f", () => contexts.begins("f"));
      return run;
    });
    expect(violations).toEqual([]);
  });

  test("a computation outside of any call, in the call of another function, or in a call that is over is a violation", async () => {
    contexts.begins("f");
    await call("g", () => contexts.begins("f"));
    let late: Promise<unknown> = Promise.resolve();
    await call("f", () => {
      late = Promise.resolve().then(async () => {
        for (let turns = 0; turns < 10; turns++) await Promise.resolve();
        contexts.begins("f");
      });
      return contexts.begins("f");
    });
    await late;
    expect(violations).toEqual([waits, waits, waits]);
  });

  test("a computation for a later call in the context of an earlier one is a violation, though that one still waits", async () => {
    await call("f", () => {
      const first = contexts.begins("f");
      contexts.begins("f");
      return first;
    });
    expect(violations).toEqual([madeFor]);
  });

  test("a call may get an earlier result when the computation in its context failed", async () => {
    const before = await call("f", () => contexts.begins("f"));
    await call("f", () => {
      contexts.begins("f");
      contexts.fails();
      return before;
    });
    expect(violations).toEqual([]);
  });
});
