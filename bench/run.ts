/** `npm run bench -- [name…] [--json]`: answers each question, or those named, and prints a table or one object a line. */
import { parseArgs } from "node:util";
import { cachedDiskQuestions } from "./cached-disk.js";
import { cacheQuestions } from "./cache.js";
import { coherenceQuestions } from "./coherence.js";
import { commitQuestions } from "./commits.js";
import { readQuestions } from "./reads.js";
import { cachedHitQuestions } from "./cached-hits.js";
import { cachedManyQuestions } from "./cached-many.js";
import { propagationQuestions } from "./propagation.js";
import { heading, isSkipped, row, type Question } from "./report.js";

const questions: readonly Question[] = [
  ...commitQuestions,
  ...readQuestions,
  ...coherenceQuestions,
  ...cachedDiskQuestions,
  ...cachedHitQuestions,
  ...cacheQuestions,
  ...cachedManyQuestions,
  ...propagationQuestions,
];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean", default: false } } });
/** Those of exactly this name, else those whose names begin with it: `footprint` is two. */
function named(name: string): readonly Question[] {
  const exact = questions.filter((question) => question.name === name);
  return exact.length > 0 ? exact : questions.filter((question) => question.name.startsWith(`${name}-`));
}

const unknown = positionals.find((name) => named(name).length === 0);
if (unknown !== undefined) {
  console.error(`no bench ${unknown}; there are ${questions.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const asked = positionals.length === 0 ? questions : positionals.flatMap(named);
if (!values.json) console.log(heading);
for (const question of asked) {
  const result = await question.measure();
  if (values.json) console.log(JSON.stringify(result));
  else console.log(isSkipped(result) ? `${result.name} | skipped: ${result.skipped}` : row(result, question));
  if (!isSkipped(result) && !result.correct) process.exitCode = 1;
}
