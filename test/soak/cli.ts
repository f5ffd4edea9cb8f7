import { Command, InvalidArgumentError } from "commander";
import { versionsNow } from "../matrix/report.js";
import { soak, type SoakReport } from "./soak.js";

interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly json: boolean;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("a whole number from 1 is needed");
  return value;
};

const { kills, seed, json } = new Command("npm run soak --")
  .description("Kills a real broker in the middle of invalidations, again and again: no node may be stale once it is connected again.")
  .option("--kills <n>", "how often the broker is killed", count, 50)
  .option("--seed <n>", "decides who invalidates what, and when the broker dies", count, 1)
  .option("--json", "print what was measured as JSON", false)
  .addHelpText(
    "after",
    "\nNATS_SERVER names another nats-server. Exits with 1 when something was stale.\n\nExamples:\n" +
      "  npm run soak\n  npm run soak -- --kills 5 --seed 7\n  npm run --silent soak -- --json",
  )
  .parse()
  .opts<Options>();

const startMs = performance.now();
const print = (text: string) => process.stdout.write(`${text}\n`);
const ms = (value: number) => `${value.toFixed(0)} ms`;
const progress = ({ kills: done, invalidations, wrongs }: SoakReport) => {
  process.stderr.write(`${done} of ${kills} kills, ${((performance.now() - startMs) / 1_000).toFixed(0)} s: `);
  process.stderr.write(`${invalidations} invalidations, ${wrongs.length} answers wrong\n`);
};

try {
  const versions = versionsNow();
  const report = await soak({ kills, seed, progress });
  if (json) print(JSON.stringify({ versions, seed, ...report }, undefined, 2));
  else {
    print(`${report.kills} kills of the broker, ${report.calls} calls, ${report.hits} of them answered by what was kept`);
    print(`${report.invalidations} invalidations: ${report.published} resolved to published, ${report.queued} to queued; all arrived`);
    print(`from invalidate to gone at the other nodes: at most ${ms(report.staleMsMax)}; broker away: ${ms(report.staleWhileCutMsMax)}`);
    print(`longest call ${ms(report.callMsMax)}; longest from the broker's return to all nodes right ${ms(report.settledMsMax)}`);
    print(`growth of the nodes' heaps: ${report.heapGrowthBytes.map((bytes) => `${(bytes / 1_048_576).toFixed(1)} MB`).join(", ")}`);
    print(`zooid ${versions.zooid}, Node ${versions.node}, nats-server ${versions.natsServer}, ${versions.date}, seed ${seed}`);
    for (const wrong of report.wrongs) print(`wrong: ${wrong}`);
    print(`${report.wrongs.length} answers wrong`);
  }
  process.exitCode = report.wrongs.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
