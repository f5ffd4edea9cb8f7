/**
 * `npm run bench -- [name…] [--json]`: answers the named questions (default: all), and prints a table or one JSON
 * object a line.
 */
import { Command, InvalidArgumentError } from "commander";
import { cachedDiskQuestions } from "./cached-disk.js";
import { cacheQuestions } from "./cache.js";
import { coherenceQuestions } from "./coherence.js";
import { commitQuestions } from "./commits.js";
import { readQuestions } from "./reads.js";
import { cachedHitQuestions } from "./cached-hits.js";
import { cachedManyQuestions } from "./cached-many.js";
import { propagationQuestions } from "./propagation.js";
import { remoteEventQuestions } from "./remote-events.js";
import { returningQuestions } from "./returning.js";
import { watchedQuestions } from "./watched.js";
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
  ...returningQuestions,
  ...remoteEventQuestions,
  ...watchedQuestions,
];

/** The question of exactly this name; else all whose names begin with it: `footprint` gives two. */
function named(name: string): readonly Question[] {
  const exact = questions.filter((question) => question.name === name);
  return exact.length > 0 ? exact : questions.filter((question) => question.name.startsWith(`${name}-`));
}

const found = (name: string, before: readonly Question[] = []): readonly Question[] => {
  const more = named(name);
  if (more.length === 0) throw new InvalidArgumentError(`there are ${questions.map((each) => each.name).join(", ")}`);
  return [...before, ...more];
};

const command = new Command("npm run bench --")
  .description("Answers measured questions, each against a limit or a peer in the same run, and checks its own results.")
  .argument("[name...]", "questions to answer, by name or by the beginning of their names (default: all)", found)
  .option("--json", "print a result a line as JSON", false)
  .addHelpText(
    "after",
    `\nQuestions:\n${questions.map(({ name, question }) => `  ${name}\n      ${question}`).join("\n")}\n\n` +
      "NATS_SERVER names another nats-server. Exits with 1 when a result was not correct; the table shows a missed target.\n\n" +
      "Examples:\n  npm run bench -- hit-async stampede\n  npm run bench -- propagation --json",
  )
  .parse();
const { json } = command.opts<{ readonly json: boolean }>();
// Commander gives an empty list if no question is named.
const given = (command.processedArgs[0] ?? []) as readonly Question[];
const asked = given.length > 0 ? given : questions;
if (!json) console.log(heading);
for (const question of asked) {
  const result = await question.measure();
  if (json) console.log(JSON.stringify(result));
  else console.log(isSkipped(result) ? `${result.name} | skipped: ${result.skipped}` : row(result, question));
  if (!isSkipped(result) && !result.correct) process.exitCode = 1;
}
