#!/usr/bin/env node
/** The command `zooid`. */
import process from "node:process";
import { CommanderError } from "commander";
import { CommandError, failureLine, failureOf, Interrupted } from "./failure.js";
import { Output } from "./output.js";
import { createProgram } from "./program.js";

/** What closes does so within this: less than the 30 s that supervisors give a process before they kill it. */
const closeTimeoutMs = 25_000;

const interruption = new AbortController();
let closing: NodeJS.Timeout | undefined;
let isOver = false;
const interrupt = (why: Interrupted | CommandError) => {
  interruption.abort(why);
  // What was written last may fail after the command has ended.
  if (isOver) process.exitCode = tell(why);
};
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // Once: a second one ends the process as it would any other.
  process.once(name, () => {
    const why = new Interrupted(name);
    const overdue = () => {
      surroundings.say(`zooid: not closed ${closeTimeoutMs / 1_000} s after ${name}: it ends as it is`);
      process.exit(why.exitCode);
    };
    closing = setTimeout(overdue, closeTimeoutMs);
    interrupt(why);
  });
}

const surroundings = {
  out: new Output(process.stdout, interrupt),
  say: (line: string) => void process.stderr.write(`${line}\n`),
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
isOver = true;
clearTimeout(closing);

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
