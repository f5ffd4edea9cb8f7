import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import { detachedClock, systemClock } from "../../core/index.js";

test("a timer of a detached clock runs in the context in which the clock was made, and can be cleared", async () => {
  const requests = new AsyncLocalStorage<string>();
  const clock = requests.run("opener", () => detachedClock(systemClock));
  const seen: unknown[] = [];
  await requests.run("caller", async () => {
    clock.clearTimeout(clock.setTimeout(() => seen.push("cleared"), 0));
    await new Promise<void>((resolve) => {
      clock.setTimeout(() => {
        seen.push(requests.getStore());
        resolve();
      }, 1);
    });
    seen.push(requests.getStore());
  });
  expect(seen).toEqual(["opener", "caller"]);
});
