import { expect, test } from "vitest";
import { SimulatedClock } from "../../testing/index.js";
import { Redial } from "../../transport/redial.js";
import { limits, seededRandom, silentLog } from "../../core/index.js";
import { rejected } from "../../testing/suites/transport-steps.js";

/** Targets that can be up or down, with links that end when the test says so. */
function setup(targets: readonly string[]) {
  const clock = new SimulatedClock();
  const up = new Set<string>();
  const dials: { target: string; at: number }[] = [];
  const linked: string[] = [];
  const warned: object[] = [];
  let lose: () => void = () => undefined;
  const redial = new Redial<string, string>({
    clock,
    random: seededRandom(1),
    log: { ...silentLog, warn: (facts) => void warned.push(facts) },
    targets,
    dial: async (target) => {
      dials.push({ target, at: clock.monotonic() });
      if (!up.has(target)) throw new Error(`${target} is down`);
      return target;
    },
    serve: (link) => {
      linked.push(link);
      return new Promise((resolve) => (lose = resolve));
    },
  });
  return { clock, up, dials, linked, warned, redial, lose: () => lose() };
}

test("pauses between rounds double up to the longest, with jitter, and dialling never ends", async () => {
  const { clock, dials, warned, redial } = setup(["a"]);
  await redial.open(false);
  await clock.advance(60_000);
  const pauses = dials.slice(1).map(({ at }, index) => at - (dials[index]?.at ?? 0));
  pauses.forEach((pause, index) => {
    const longest = Math.min(limits.dialDelayMsMax, limits.dialDelayMsMin * 2 ** index);
    expect(pause).toBeGreaterThanOrEqual(longest / 2);
    expect(pause).toBeLessThanOrEqual(longest);
  });
  expect(new Set(pauses.slice(10)).size).toBeGreaterThan(10);
  expect(dials.at(-1)?.at).toBeGreaterThan(57_000);
  // One line for one change, not one for each attempt.
  expect(warned.length).toBe(1);
  redial.stop();
});

test("each target is tried in turn, beginning after the one that was lost, at once if that link had lasted", async () => {
  const { clock, up, dials, linked, redial, lose } = setup(["a", "b", "c"]);
  up.add("b").add("a");
  await redial.open();
  expect(linked).toEqual(["a"]);
  await clock.advance(limits.dialDelayMsMax + 1);
  lose();
  await clock.advance(0);
  expect(linked).toEqual(["a", "b"]);
  await clock.advance(limits.dialDelayMsMax + 1);
  lose();
  await clock.advance(0);
  expect(dials.map(({ target }) => target)).toEqual(["a", "b", "c", "a"]);
  expect(linked).toEqual(["a", "b", "a"]);
  redial.stop();
});

test("a target that takes links and drops them at once is dialled after a pause", async () => {
  const { clock, up, dials, redial, lose } = setup(["a"]);
  up.add("a");
  await redial.open();
  for (let n = 0; n < 200; n++) {
    lose();
    await clock.advance(10);
  }
  expect(dials.length).toBeLessThan(20);
  redial.stop();
});

test("the first round rejects with the reason why no target was reached, and leaves no timer", async () => {
  const { clock, dials, redial } = setup(["a", "b"]);
  expect(await rejected(redial.open())).toMatchObject({ message: "b is down" });
  expect(await clock.step()).toBe(false);
  expect(dials.length).toBe(2);
});

test("after `stop` nothing is dialled and no timer is left", async () => {
  const { clock, dials, redial } = setup(["a"]);
  await redial.open(false);
  await clock.advance(1_000);
  const before = dials.length;
  redial.stop();
  expect(await clock.step()).toBe(false);
  expect(dials.length).toBe(before);
});
