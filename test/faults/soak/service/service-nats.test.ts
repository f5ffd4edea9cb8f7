import { expect, test } from "vitest";
import { soakService } from "./soak.js";

test(
  "services answer correctly while the broker is killed and the storage server restarted, and every process ends well",
  { timeout: 90_000 },
  async () => {
    const report = await soakService({
      minutes: 2 / 60,
      seed: 4,
      rate: 150,
      groups: 1,
      clients: 12,
      helpers: 1,
      killEverySecs: 1,
      restartEverySecs: 1.2,
      sampleEverySecs: 1,
    });
    expect(report.wrongs).toEqual([]);
    expect(report.checked).toBeGreaterThan(50);
    expect(Math.min(report.brokerKills, report.storageRestarts, report.visits, report.commits)).toBeGreaterThan(0);
  },
);
