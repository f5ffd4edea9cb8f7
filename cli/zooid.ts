#!/usr/bin/env node
/** The command `zooid`. */
import process from "node:process";
import { CommanderError } from "commander";
import { CommandError, failureLine, failureOf, Interrupted } from "./failure.js";
import { Output } from "./output.js";
import { createProgram } from "./program.js";

const interruption = new AbortController();
const interrupt = (why: Interrupted) => interruption.abort(why);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // Once: a second one ends the process as it would any other.
  process.once(name, () => interrupt(new Interrupted(name)));
}

const surroundings = {
  out: new Output(process.stdout, interrupt),
  say: (line: string) => void process.stderr.write(`${line}\n`),
  signal: interruption.signal,
};
process.stderr.on("error", () => undefined);

try {
  await createProgram(surroundings).parseAsync(process.argv);
} catch (error) {
  process.exitCode = tell(error);
}

function tell(error: unknown): number {
  const cause = interruption.signal.aborted ? (interruption.signal.reason as unknown) : error;
  if (cause instanceof Interrupted) return cause.exitCode;
  // Help and version have been printed: they are no failure.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const known = error instanceof CommanderError ? usageError(error) : error;
  const failure = failureOf(known);
  surroundings.say(failureLine(failure, isJsonWanted()));
  return failure.exitCode;
}

function usageError(error: CommanderError): CommandError {
  const message = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, " (did you mean $1?)");
  return new CommandError("ZOOID_USAGE", error.code === "commander.help" ? `which command? See ${asCalled()} --help` : message);
}

/** `zooid`, or the command of it that has commands of its own. */
function asCalled(): string {
  return ["zooid", ...process.argv.slice(2).filter((word) => !word.startsWith("-"))].join(" ");
}

/** Asked of the words as they were typed: whether to fail in JSON must be known even when they cannot be parsed. */
function isJsonWanted(): boolean {
  return process.argv.includes("--json") || ["1", "true", "yes"].includes((process.env["ZOOID_JSON"] ?? "").toLowerCase());
}
