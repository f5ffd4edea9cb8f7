import { expect, test } from "vitest";
import { failedSeedsOf } from "../common/failed-seeds.js";
import { seedsFrom } from "../common/new-seeds.js";
import { simulateWatchers } from "./run.js";

/** Number of seeds of every test run; `npm run sim -- watchers` runs others. */
const seedCount = 15;

test(`copies that watchers keep current equal the storage in ${seedCount} runs, and watchers end with their clients`, async () => {
  for (const seed of [...seedsFrom(1, seedCount), ...failedSeedsOf("watchers")]) {
    const { violation } = await simulateWatchers(seed);
    expect(violation?.message, `replay: npm run sim -- watchers --seeds 1 --from ${seed} --trace`).toBeUndefined();
  }
}, 240_000);
