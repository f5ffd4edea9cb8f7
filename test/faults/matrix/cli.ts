import { Command, InvalidArgumentError } from "commander";
import { rows } from "./rows.js";
import { matrixFigures, matrixTable, type Versions, versionsNow } from "./report.js";
import { type CellResult, playMatrix } from "./run.js";

interface Options {
  readonly runs: number;
  readonly cut: number;
  readonly only: string | undefined;
  readonly jobs: number;
  readonly json: boolean;
  readonly markdown: boolean;
  readonly story: boolean;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("a whole number from 1 is needed");
  return value;
};

const seconds = (text: string): number => {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 600)) throw new InvalidArgumentError("seconds are needed, from 0.1 to 600");
  return value;
};

const { runs, cut, only, jobs, json, markdown, story } = new Command("npm run matrix --")
  .description(
    "Cuts links and kills brokers and nodes while results are invalidated, with real processes: no node may be stale afterwards.",
  )
  .option("--runs <n>", "how often each cell is run", count, 3)
  .option("--cut <seconds>", "how long links are cut and brokers are dead", seconds, 5)
  .option("--only <text>", "rows whose title has this in it")
  .option("--jobs <n>", "rows played at the same time", count, 4)
  .option("--json", "print every run of every cell as JSON", false)
  .option("--markdown", "print just the table", false)
  .option("--story", "print what the nodes of a wrong cell logged", false)
  .addHelpText(
    "after",
    "\nNATS_SERVER names another nats-server. Exits with 1 when a cell was wrong.\n\nExamples:\n" +
      "  npm run matrix\n" +
      "  npm run matrix -- --runs 1 --cut 0.5\n" +
      '  npm run matrix -- --only "broker killed" --story\n' +
      "  npm run --silent matrix -- --json",
  )
  .parse()
  .opts<Options>();

const chosen = rows.filter(({ title }) => only === undefined || title.includes(only));
if (chosen.length === 0) {
  process.stderr.write(`no row has ${JSON.stringify(only)} in its title; there are:\n${rows.map(({ title }) => `  ${title}\n`).join("")}`);
  process.exit(2);
}

const versions = versionsOrEnd();
const print = (text: string) => process.stdout.write(`${text}\n`);
const startMs = performance.now();
const results: CellResult[] = [];
let played = 0;
for await (const result of playMatrix({ rows: chosen, runs, cutMs: cut * 1_000, jobs })) {
  results.push(...result);
  played++;
  const wrong = result.filter(({ wrongs }) => wrongs.length > 0);
  const [first] = result;
  process.stderr.write(
    `${played} of ${chosen.length * runs}, ${((performance.now() - startMs) / 1_000).toFixed(0)} s: ` +
      `${first?.row}: ${wrong.length === 0 ? "right" : `${wrong.length} of ${result.length} cells wrong`}\n`,
  );
}

const inOrder = chosen.flatMap(({ title }) => results.filter(({ row }) => row === title));
const wrong = inOrder.filter(({ wrongs }) => wrongs.length > 0);
if (json) print(JSON.stringify({ versions, runs, cutSecs: cut, results: inOrder }, undefined, 2));
else {
  print(matrixTable(inOrder));
  print("");
  if (!markdown) {
    print(matrixFigures(inOrder));
    print(`zooid ${versions.zooid}, Node ${versions.node}, nats-server ${versions.natsServer}, ${versions.date}; cuts of ${cut} s`);
  }
}
for (const { row, tier, way, run, wrongs, story: lines } of json ? [] : wrong) {
  print(`wrong: ${row}, ${tier}, ${way}, run ${run}:`);
  for (const what of wrongs) print(`  ${what}`);
  if (story) print(lines);
}
if (!json)
  print(`${inOrder.length - wrong.length} cells right, ${wrong.length} wrong, in ${((performance.now() - startMs) / 1_000).toFixed(0)} s`);
process.exitCode = wrong.length === 0 ? 0 : 1;

function versionsOrEnd(): Versions {
  try {
    return versionsNow();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
