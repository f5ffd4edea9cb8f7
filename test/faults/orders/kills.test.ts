import { expect, onTestFinished, test } from "vitest";
import { createBroker, serveBroker } from "../../../actors/index.js";
import { seededRandom } from "../../../core/index.js";
import { runKills } from "./kills.js";

test("services that are killed or suspended accept no event twice, are noticed as lost, and go on", async () => {
  const broker = await serveBroker({ broker: createBroker() });
  onTestFinished(() => broker.close());
  const seed = Date.now() % 1_000;
  const result = await runKills({
    servers: broker.url,
    rounds: 2,
    random: seededRandom(seed),
    heartbeatTimeoutMs: 700,
    // The machine may be ten times too busy.
    slackMs: 10_000,
    log: () => undefined,
  });
  expect(result.violations, `seed ${seed}`).toEqual([]);
  expect(result.shipped).toBeGreaterThan(0);
}, 60_000);
