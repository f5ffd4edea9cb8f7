import type { Command } from "commander";
import { limits, systemClock } from "../../core/index.js";
import { Interrupted } from "../failure.js";
import { followRecord } from "../follow-record.js";
import { option, parseDuration, parseInteger, switchOption } from "../parsing.js";
import { count, duration, size as bytesText } from "../progress.js";
import { addSourceOptions, type SourceFlags, withSource } from "../record-source.js";
import { RecordingFile } from "../recording-file.js";
import type { Surroundings } from "../surroundings.js";

interface RecordFlags extends SourceFlags {
  readonly for?: number;
  readonly overwrite?: boolean;
  readonly bytesMax: number;
}

/** Interval of progress. */
const reportMs = 1_000;

/** `zooid record <file>`: writes what actors do into a file. */
export function addRecord(program: Command, surroundings: Surroundings): void {
  const { out, say, signal } = surroundings;
  const command = program
    .command("record")
    .description("Writes what the actors of a realm do into a file, until interrupted: for `zooid replay`, and for bug reports.")
    .argument("<file>", "the recording, by custom with the ending .zrec")
    .addOption(option("--for <duration>", undefined, "end after this time, e.g. 1m (default: when interrupted)").argParser(parseDuration))
    .addOption(switchOption("--overwrite", "ZOOID_OVERWRITE", "replace a file that is there already"))
    .addOption(
      option("--bytes-max <bytes>", "ZOOID_RECORDING_BYTES_MAX", "end when the file has this size")
        .argParser(parseInteger(64 * 1024, Number.MAX_SAFE_INTEGER))
        .default(limits.recordingBytesMax),
    )
    .addHelpText(
      "after",
      `
The file holds states, names and sizes. It holds no contexts, payloads or stored values, except what an actor describes.

Examples:
  $ zooid record run.zrec                        until Ctrl-C
  $ zooid record run.zrec --for 1m --overwrite
  $ zooid record run.zrec --realm shop --json`,
    );
  addSourceOptions(command).action((path: string, flags: RecordFlags) =>
    withSource(flags, "zooid record", surroundings, async (source) => {
      const startedMs = systemClock.monotonic();
      const info = { realm: source.realm ?? "applications", startedAt: Math.floor(systemClock.now()) };
      const file = await RecordingFile.create(path, info, { overwrite: flags.overwrite === true, bytesMax: flags.bytesMax });
      const instances = new Set<string>();
      let isFull = false;
      const facts = () => ({
        file: path,
        entries: file.entries,
        bytes: file.bytes,
        systems: instances.size,
        leftOut: file.leftOut,
        elapsedMs: Math.round(systemClock.monotonic() - startedMs),
      });
      const progress = setInterval(() => {
        const { entries, bytes, systems } = facts();
        if (flags.json === true) say(JSON.stringify({ event: "progress", ...facts() }));
        else say(`${count(entries)} entries of ${count(systems)} ${systems === 1 ? "system" : "systems"}, ${bytesText(bytes)}`);
      }, reportMs);
      try {
        await followRecord(source, surroundings, {
          take: (entry) => {
            if (entry.type === "frame") instances.add(entry.frame.instance);
            isFull = file.add(entry);
            return isFull;
          },
          forMs: flags.for,
        });
      } catch (error) {
        // A signal is the usual end of a recording.
        if (!(error instanceof Interrupted) || error !== signal.reason) throw error;
      } finally {
        clearInterval(progress);
        await file.end();
      }
      if (flags.json === true) await out.json({ event: "recorded", isFull, ...facts() });
      else {
        const { entries, bytes, systems, leftOut, elapsedMs } = facts();
        const size = isFull ? `${bytesText(bytes)}, its greatest size (--bytes-max)` : bytesText(bytes);
        const left = leftOut === 0 ? "" : `; ${count(leftOut)} entries were left out, because the disk was too slow`;
        await out.line(
          `${path}: ${count(entries)} entries of ${count(systems)} ${systems === 1 ? "system" : "systems"} in ${duration(elapsedMs)}, ${size}${left}`,
        );
      }
    }),
  );
}
