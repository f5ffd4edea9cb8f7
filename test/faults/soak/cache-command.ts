import type { Command } from "commander";
import { versionsNow } from "../matrix/report.js";
import { countFrom1 } from "./numbers.js";
import { soak, type SoakReport } from "./soak.js";

interface Flags {
  readonly kills: number;
  readonly seed: number;
  readonly json: boolean;
}

/** `npm run soak -- cache`, the default. */
export function addCacheSoak(program: Command): void {
  program
    .command("cache", { isDefault: true })
    .description("Kills a real broker in the middle of invalidations, again and again: no node may be stale once it is connected again.")
    .option("--kills <n>", "how often the broker is killed", countFrom1, 50)
    .option("--seed <n>", "decides who invalidates what, and when the broker dies", countFrom1, 1)
    .option("--json", "print what was measured as JSON", false)
    .addHelpText(
      "after",
      "\nNATS_SERVER names another nats-server. Exits with 1 when something was stale.\n\nExamples:\n" +
        "  npm run soak\n  npm run soak -- --kills 5 --seed 7\n  npm run --silent soak -- cache --json",
    )
    .action(run);
}

async function run({ kills, seed, json }: Flags): Promise<void> {
  const startMs = performance.now();
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  const progress = ({ kills: done, invalidations, wrongs }: SoakReport) => {
    process.stderr.write(`${done} of ${kills} kills, ${((performance.now() - startMs) / 1_000).toFixed(0)} s: `);
    process.stderr.write(`${invalidations} invalidations, ${wrongs.length} answers wrong\n`);
  };
  const versions = versionsNow();
  const report = await soak({ kills, seed, progress });
  if (json) print(JSON.stringify({ versions, seed, ...report }, undefined, 2));
  else {
    print(`${report.kills} kills of the broker, ${report.calls} calls, ${report.hits} of them hits`);
    print(`${report.invalidations} invalidations: ${report.published} resolved to published, ${report.queued} to queued; all arrived`);
    print(`from invalidate to gone at the other nodes: at most ${ms(report.staleMsMax)}; broker away: ${ms(report.staleWhileCutMsMax)}`);
    print(`longest call ${ms(report.callMsMax)}; longest from the broker's return to all nodes right ${ms(report.settledMsMax)}`);
    print(`growth of the nodes' heaps: ${report.heapGrowthBytes.map((bytes) => `${(bytes / 1_048_576).toFixed(1)} MB`).join(", ")}`);
    print(`zooid ${versions.zooid}, Node ${versions.node}, nats-server ${versions.natsServer}, ${versions.date}, seed ${seed}`);
    for (const wrong of report.wrongs) print(`wrong: ${wrong}`);
    print(`${report.wrongs.length} answers wrong`);
  }
  process.exitCode = report.wrongs.length === 0 ? 0 : 1;
}
