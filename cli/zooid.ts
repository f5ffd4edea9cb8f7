#!/usr/bin/env node
/** The command `zooid`. */
import process from "node:process";
import { CommanderError } from "commander";
import { CommandError, failureLine, failureOf, Interrupted } from "./failure.js";
import { Interruption } from "./interruption.js";
import { Output } from "./output.js";
import { createProgram } from "./program.js";

const say = (line: string) => void process.stderr.write(`${line}\n`);
const interruption = new Interruption({ say, late: (why) => (process.exitCode = tell(why)) });

const surroundings = {
  out: new Output(process.stdout, (why) => {
    interruption.interrupt(why);
  }),
  say,
  signal: interruption.signal,
};
process.stderr.on("error", () => undefined);

try {
  await createProgram(surroundings).parseAsync(process.argv);
  const why: unknown = interruption.signal.reason;
  // Lines were lost that the command took for written.
  if (why instanceof CommandError) process.exitCode = tell(why);
} catch (error) {
  process.exitCode = tell(error);
}
interruption.closed();

function tell(error: unknown): number {
  const cause = interruption.signal.aborted ? (interruption.signal.reason as unknown) : error;
  if (cause instanceof Interrupted) return cause.exitCode;
  if (cause instanceof CommandError) return told(cause);
  // Help and version have been printed: they are no failure.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  return told(error instanceof CommanderError ? usageError(error) : error);
}

function told(error: unknown): number {
  const failure = failureOf(error);
  surroundings.say(failureLine(failure, isJsonWanted()));
  return failure.exitCode;
}

function usageError(error: CommanderError): CommandError {
  const message = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, " (did you mean $1?)");
  const isUnknown = error.code === "commander.unknownCommand" && !message.includes("did you mean");
  return new CommandError(
    "ZOOID_USAGE",
    error.code === "commander.help" ? `which command? See ${asCalled()} --help` : isUnknown ? `${message}: see zooid --help` : message,
  );
}

/** `zooid`, or the command of it that has commands of its own. */
function asCalled(): string {
  return ["zooid", ...process.argv.slice(2).filter((word) => !word.startsWith("-"))].join(" ");
}

/** Asked of the words as they were typed: whether to fail in JSON must be known even when they cannot be parsed. */
function isJsonWanted(): boolean {
  return process.argv.includes("--json") || ["1", "true", "yes"].includes((process.env["ZOOID_JSON"] ?? "").toLowerCase());
}
