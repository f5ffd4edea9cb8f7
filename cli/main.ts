import process from "node:process";
import { type Command, CommanderError } from "commander";
import { CommandError, failureLine, failureOf, Interrupted } from "./failure.js";
import { Interruption } from "./interruption.js";
import { hasLoadedModule } from "./machine-files.js";
import { Output } from "./output.js";
import type { Surroundings } from "./surroundings.js";

/** A program, and what users type to run it. */
export interface Main {
  /** First word of each line about a failure. */
  readonly name: string;
  readonly create: (surroundings: Surroundings) => Command;
  /** Command line that shows the help for the words that were typed. */
  readonly helpOf: (words: readonly string[]) => string;
}

/** Runs a program with the words and the signals of this process, and sets its exit code. */
export async function main({ name, create, helpOf }: Main): Promise<void> {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const fail = (error: unknown): number => {
    const failure = failureOf(error);
    say(failureLine(failure, { name, isJson: isJsonWanted() }));
    return failure.exitCode;
  };
  const exitCodeOf = (error: unknown): number => {
    const cause = interruption.signal.aborted ? (interruption.signal.reason as unknown) : error;
    if (cause instanceof Interrupted) return cause.exitCode;
    if (cause instanceof CommandError) return fail(cause);
    // Commander throws after it has printed help or the version.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return fail(error instanceof CommanderError ? usageError(error, helpOf) : error);
  };
  const interruption = new Interruption({ say, late: (why) => (process.exitCode = exitCodeOf(why)) });
  const out = new Output(process.stdout, (why) => {
    interruption.interrupt(why);
  });
  process.stderr.on("error", () => undefined);
  try {
    await create({ out, say, signal: interruption.signal }).parseAsync(process.argv);
    const why: unknown = interruption.signal.reason;
    // Lines were lost although the command has succeeded.
    if (why instanceof CommandError) process.exitCode = exitCodeOf(why);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
  interruption.closed();
  // Timers and servers of a user's module must not keep the command running. All lines are written first.
  if (hasLoadedModule()) process.stdout.write("", () => process.exit());
}

function usageError(error: CommanderError, helpOf: Main["helpOf"]): CommandError {
  const message = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, " (did you mean $1?)");
  const isUnknown = error.code === "commander.unknownCommand" && !message.includes("did you mean");
  const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
  return new CommandError(
    "ZOOID_USAGE",
    error.code === "commander.help" ? `which command? See ${helpOf(words)}` : isUnknown ? `${message}: see ${helpOf([])}` : message,
  );
}

/** Reads the raw words: a failure to parse them must be printed as JSON, too. */
function isJsonWanted(): boolean {
  return process.argv.includes("--json") || ["1", "true", "yes"].includes((process.env["ZOOID_JSON"] ?? "").toLowerCase());
}
