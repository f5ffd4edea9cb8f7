import { Argument, Command, InvalidArgumentError } from "commander";
import { availableParallelism } from "node:os";
import { runHere, runInJobs, type Simulated, simulations } from "./jobs.js";

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly trace: boolean;
  readonly keepGoing: boolean;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("a whole number from 1 is needed");
  return value;
};

const command = new Command("npm run sim --")
  .description(
    "Runs servers and clients, or nodes of a cache, on a faulty network and faulty disks, one run a seed, and checks the promises of DESIGN.",
  )
  .addArgument(new Argument("[what]", "what to run").choices(Object.keys(simulations)).default("store"))
  .option("--seeds <n>", "how many seeds to run", count, 200)
  .option("--from <seed>", "the first of them", count, 1)
  .option("--jobs <n>", "processes that share them; one with --trace", count, availableParallelism())
  .option("--trace", "print what happens, line by line", false)
  .option("--keep-going", "go on after a seed that failed", false)
  .addHelpText(
    "after",
    "\nExamples:\n  npm run sim -- --seeds 2000 --from 1\n  npm run sim -- --seeds 1 --from 42 --trace\n  npm run sim -- cache --seeds 2000",
  )
  .parse();
const { seeds, from, jobs, trace, keepGoing } = command.opts<Options>();
const what = command.processedArgs[0] as Simulated;

const startMs = performance.now();
const print = (line: string) => process.stdout.write(`${line}\n`);
const progress = (line: string) => process.stderr.isTTY && process.stderr.write(`\r${line} `);
const totals: Record<string, number> = {};
let failed = 0;
let ran = 0;
let simulatedMs = 0;
const all = Array.from({ length: seeds }, (_, index) => from + index);
const outcomes = trace ? runHere(what, all, print) : runInJobs(what, all, Math.min(jobs, seeds));
for await (const result of outcomes) {
  ran++;
  simulatedMs += result.simulatedMs;
  for (const [name, value] of Object.entries(result.counts)) totals[name] = (totals[name] ?? 0) + value;
  const perSecond = (ran * 1_000) / (performance.now() - startMs);
  progress(`${ran} of ${seeds} seeds, ${perSecond.toFixed(0)} a second`);
  if (result.violation === undefined) continue;
  failed++;
  print(`seed ${result.seed}: ${result.violation}\n  replay: npm run sim -- ${what} --seeds 1 --from ${result.seed} --trace`);
  if (!keepGoing) break;
}
const tookMs = performance.now() - startMs;
const facts = Object.entries(totals).map(([name, value]) => `${value} ${name}`);
progress("");
print(
  `${ran} seeds in ${(tookMs / 1_000).toFixed(1)} s, ${((ran * 1_000) / tookMs).toFixed(0)} a second, ` +
    `${(simulatedMs / 60_000).toFixed(0)} simulated minutes: ${facts.join(", ")}`,
);
print(`${ran - failed} seeds passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
