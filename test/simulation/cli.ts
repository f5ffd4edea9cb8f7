import { Argument, Command, InvalidArgumentError } from "commander";
import { availableParallelism } from "node:os";
import { runHere, runInJobs } from "./common/jobs.js";
import { commitNow, firstSeedOf, seedsFrom, seedsThere } from "./common/new-seeds.js";
import type { Outcome } from "./common/outcome.js";
import { type Simulated, simulations } from "./common/simulations.js";
import { Summary } from "./common/summary.js";

interface Options {
  readonly seeds: number;
  readonly from: number | undefined;
  readonly jobs: number;
  readonly trace: boolean;
  readonly keepGoing: boolean;
  readonly json: boolean;
}

/** Exit codes. */
const passed = 0;
const promiseBroken = 1;
const usage = 2;
const simulationFailed = 3;

const progressEachMs = 60_000;

const numberFrom =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || value > seedsThere)
      throw new InvalidArgumentError(`a whole number from ${least} to ${seedsThere} is needed`);
    return value;
  };

const command = new Command("npm run sim --")
  .description(
    "Runs servers and clients, nodes of a cache, or actors and watchers of their record, on a faulty network and faulty disks, " +
      "one run a seed, and checks the promises of DESIGN.",
  )
  .addArgument(new Argument("[what]", "what to run").choices(Object.keys(simulations)).default("store"))
  .option("--seeds <n>", "how many seeds to run", numberFrom(1), 200)
  .option("--from <seed>", "the first of them (default: seeds that belong to the commit that is checked out)", numberFrom(0))
  .option("--jobs <n>", "processes that share them; one with --trace", numberFrom(1), availableParallelism())
  .option("--trace", "print the events of a run, line by line", false)
  .option("--keep-going", "go on after a seed that failed, and list all that failed by kind in the end", false)
  .option("--json", "print the result as JSON", false)
  .addHelpText(
    "after",
    `
A seed decides a run only together with the code: after a change of the simulation, or of the order in which the product does things,
the same seed is another run. Seeds that failed, with their causes, are in test/simulation/common/failed-seeds.ts; npm test runs them.

Exit codes: ${passed}: all promises held. ${promiseBroken}: one did not. ${usage}: the options are wrong. ${simulationFailed}: the simulation itself failed.

Examples:
  npm run sim -- store --seeds 2000              2,000 new seeds; the same ones for each run of a commit
  npm run sim -- cache --seeds 2000 --keep-going
  npm run sim -- cache --seeds 1 --from 42 --trace
  npm run --silent sim -- store --json`,
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? passed : usage))
  .parse();
const { seeds, from, jobs, trace, keepGoing, json } = command.opts<Options>();
const what = command.processedArgs[0] as Simulated;

const startMs = performance.now();
const print = (line: string) => process.stdout.write(`${line}\n`);
const say = (line: string) => (json ? process.stderr : process.stdout).write(`${line}\n`);
const commit = commitNow();
const first = from ?? (commit === undefined ? Date.now() % seedsThere : firstSeedOf(commit));
const summary = new Summary();
let saidAtMs = startMs;

/** Shows progress: one line that changes on a terminal, else a line now and then. */
function progress(): void {
  const nowMs = performance.now();
  const perSecond = (summary.ran * 1_000) / (nowMs - startMs);
  const leftS = (seeds - summary.ran) / perSecond;
  const line = `${summary.ran} of ${seeds} seeds, ${perSecond.toFixed(0)} a second, ${summary.failed} failed, ${leftS.toFixed(0)} s left`;
  if (process.stderr.isTTY) process.stderr.write(`\r${line} `);
  else if (nowMs - saidAtMs > progressEachMs) {
    saidAtMs = nowMs;
    process.stderr.write(`${line}\n`);
  }
}

const replay = (seed: number) => `npm run sim -- ${what} --seeds 1 --from ${seed} --trace`;

function sayFailed({ seed, violation }: Outcome): void {
  if (violation !== undefined) say(`seed ${seed}: ${violation.message}\n  replay: ${replay(seed)}`);
}

function report(): void {
  const tookMs = performance.now() - startMs;
  const { ran, failed, kinds, counts, simulatedMs } = summary;
  const perSecond = (ran * 1_000) / tookMs;
  if (json) {
    const facts = { what, commit, node: process.version, from: first, seeds, ran, failed, seconds: tookMs / 1_000, perSecond };
    print(JSON.stringify({ ...facts, simulatedMinutes: simulatedMs / 60_000, kinds, counts }, undefined, 2));
    return;
  }
  if (process.stderr.isTTY) process.stderr.write("\n");
  if (keepGoing) for (const { kind, seeds: of } of kinds) print(`${of.length} × ${kind}: ${of.join(" ")}`);
  const facts = Object.entries(counts).map(([name, value]) => `${value} ${name}`);
  print(
    `${ran} seeds in ${(tookMs / 1_000).toFixed(1)} s, ${perSecond.toFixed(0)} a second, ` +
      `${(simulatedMs / 60_000).toFixed(0)} simulated minutes: ${facts.join(", ")}`,
  );
  print(`${ran - failed} seeds passed, ${failed} failed`);
}

say(
  `${what}: seeds ${first} to ${(first + seeds - 1) % seedsThere}${from === undefined ? `, of commit ${commit?.slice(0, 8) ?? "-"}` : ""}`,
);
try {
  const all = seedsFrom(first, seeds);
  for await (const outcome of trace ? runHere(what, all, say) : runInJobs(what, all, Math.min(jobs, seeds))) {
    summary.add(outcome);
    progress();
    sayFailed(outcome);
    if (outcome.violation !== undefined && !keepGoing) break;
  }
  report();
  process.exitCode = summary.failed === 0 ? passed : promiseBroken;
} catch (error) {
  process.stderr.write(`the simulation itself failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = simulationFailed;
}
