/** `npm run bench -- [name…] [--json]`: answers each question, or those named, and prints a table or one object a line. */
import { parseArgs } from "node:util";
import { coherenceQuestions } from "./coherence.js";
import { commitQuestions } from "./commits.js";
import { readQuestions } from "./reads.js";
import { heading, row, type Question } from "./report.js";

const questions: readonly Question[] = [...commitQuestions, ...readQuestions, ...coherenceQuestions];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean", default: false } } });
const unknown = positionals.find((name) => !questions.some((question) => question.name === name));
if (unknown !== undefined) {
  console.error(`no bench ${unknown}; there are ${questions.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
if (!values.json) console.log(heading);
for (const question of questions) {
  if (positionals.length > 0 && !positionals.includes(question.name)) continue;
  const result = await question.measure();
  console.log(values.json ? JSON.stringify(result) : row(result, question));
  if (!result.correct) process.exitCode = 1;
}
