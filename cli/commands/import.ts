import { createReadStream, statSync } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import type { Command } from "commander";
import { systemClock } from "../../core/index.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { CommandError, failureOf } from "../failure.js";
import { readRows } from "../ndjson.js";
import { option, parseInteger } from "../parsing.js";
import { duration, Progress, progressLine, size, count } from "../progress.js";
import { putRows } from "../put-rows.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";
import { progressTeller } from "../progress-teller.js";

interface ImportFlags extends ConnectionFlags {
  readonly fromLine: number;
}

/** `zooid import [file]`: puts the rows of NDJSON. */
export function addImport(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("import")
    .description('Puts the rows of a file, or of standard input: NDJSON, one {"key": …, "value": …} a line.')
    .argument("[file]", "the file; standard input when not given, or -", "-")
    .addOption(
      option("--from-line <line>", undefined, "pass over the lines before this one")
        .argParser(parseInteger(1, Number.MAX_SAFE_INTEGER))
        .default(1),
    )
    .addHelpText(
      "after",
      `
Rows are put in transactions of 500, in order, some at the same time; each is in whole or not at all. What ends it early, a line
that is no row or a server that is gone, is told with the last line up to which everything is in. Go on from there with
--from-line: rows that were in already are put again, with the same value.

Examples:
  $ zooid import cities.ndjson
  $ zooid export --servers nats://old:4222 | zooid import --servers nats://new:4222
  $ zooid import cities.ndjson --from-line 120501`,
    );
  addConnectionOptions(command).action(async (file: string, flags: ImportFlags) => {
    const { out, signal, say } = surroundings;
    const input = addAbortSignal(signal, file === "-" ? process.stdin : fileInput(file));
    await withStore(flags, surroundings, async (store) => {
      const teller = progressTeller(say, flags.json === true);
      const progress = new Progress({ clock: systemClock, bytesTotal: file === "-" ? undefined : sizeOf(file), ...teller });
      const rows = readRows(input, flags.fromLine);
      const result = await putRows(store, rows, { signal, onDurable: (added, bytes) => progress.countRows(added, bytes) });
      teller.end();
      const { elapsedMs, rowsPerSecond, bytesPerSecond } = progress.report();
      const lastLine = Math.max(result.lastLine, flags.fromLine - 1);
      if (signal.aborted) say(`zooid: interrupted; ${progressMade(lastLine)}`);
      if (result.error !== undefined) throw stopped(result.error, lastLine);
      const { rows: imported, bytes } = result;
      if (flags.json === true)
        await out.json({ event: "imported", rows: imported, bytes, lastLine, elapsedMs, rowsPerSecond, bytesPerSecond });
      else await out.line(`${count(imported)} rows, ${size(bytes)}, in ${duration(elapsedMs)} (${progressLine(progress.report())})`);
    });
  });
}

/** The error, with what is in already and how to go on. */
function stopped(error: unknown, lastLine: number): CommandError {
  const { code, message, facts } = failureOf(error);
  return new CommandError(code, `${message}; ${progressMade(lastLine)}`, { ...facts, lastLine }, error);
}

function progressMade(lastLine: number): string {
  return `everything up to line ${lastLine} is in: go on with --from-line ${lastLine + 1}`;
}

function fileInput(file: string): Readable {
  sizeOf(file);
  return createReadStream(file, { highWaterMark: 256 * 1024 });
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new CommandError(
      "ZOOID_FILE",
      `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      { file },
      error,
    );
  }
}
