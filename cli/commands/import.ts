import { createReadStream, statSync } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import { systemClock } from "../../core/index.js";
import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { CommandError, failureOf } from "../failure.js";
import { readRows } from "../ndjson.js";
import { option, parseInteger } from "../parsing.js";
import { duration, Progress, progressLine, size, count } from "../progress.js";
import { putRows } from "../put-rows.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";
import { progressDisplay } from "../progress-display.js";

interface ImportFlags extends ConnectionFlags {
  readonly fromLine: number;
}

/** `zooid import [file]`: stores the rows of NDJSON. */
export function addImport(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("import")
    .description('Stores the rows of a file, or of standard input: NDJSON, one {"key": …, "value": …} a line.')
    .argument("[file]", "the file; standard input when not given, or -", "-")
    .addOption(
      option("--from-line <line>", undefined, "skip the lines before this one")
        .argParser(parseInteger(1, Number.MAX_SAFE_INTEGER))
        .default(1),
    ).notes(`
Stores rows in transactions of 500, in order, several at a time. Each transaction is stored as a whole or not at all. If a bad line or
a lost server ends the import, the error names the last line up to which all rows are stored. Go on from there with --from-line: rows
that are stored already are stored again, with the same value.

Examples:
  $ zooid import cities.ndjson
  $ zooid export --servers nats://old:4222 | zooid import --servers nats://new:4222
  $ zooid import cities.ndjson --from-line 120501`);
  addConnectionOptions(command).action(async (file: string, flags: ImportFlags) => {
    const { out, signal, say } = surroundings;
    const input = addAbortSignal(signal, file === "-" ? process.stdin : fileInput(file));
    await withStore(flags, surroundings, async (store) => {
      const display = progressDisplay(say, flags.json === true);
      const progress = new Progress({ clock: systemClock, bytesTotal: file === "-" ? undefined : sizeOf(file), ...display });
      const rows = readRows(input, flags.fromLine);
      const result = await putRows(store, rows, { signal, onDurable: (added, bytes) => progress.countRows(added, bytes) });
      display.end();
      const { elapsedMs, rowsPerSecond, bytesPerSecond } = progress.current();
      const lastLine = Math.max(result.lastLine, flags.fromLine - 1);
      if (signal.aborted) say(`zooid: interrupted; ${progressMade(lastLine)}`);
      if (result.error !== undefined) throw stopped(result.error, lastLine);
      const { rows: imported, bytes } = result;
      if (flags.json === true)
        await out.json({ event: "imported", rows: imported, bytes, lastLine, elapsedMs, rowsPerSecond, bytesPerSecond });
      else await out.line(`${count(imported)} rows, ${size(bytes)}, in ${duration(elapsedMs)} (${progressLine(progress.current())})`);
    });
  });
}

/** The error, with the stored lines and the way to go on. */
function stopped(error: unknown, lastLine: number): CommandError {
  const { code, message, facts } = failureOf(error);
  return new CommandError(code, `${message}; ${progressMade(lastLine)}`, { ...facts, lastLine }, error);
}

function progressMade(lastLine: number): string {
  return `all rows up to line ${lastLine} are stored: go on with --from-line ${lastLine + 1}`;
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
