import { applyEntry, emptyModel, type RecordEntry, type RecordModel, summaryOf } from "../../actors/index.js";
import { delay, systemClock } from "../../core/index.js";
import type { CliCommand } from "../command.js";
import { actorPattern } from "../actor-pattern.js";
import { jsonOption } from "../connection.js";
import { CommandError } from "../failure.js";
import { HappeningLines, type LinesOptions } from "../happening-lines.js";
import { option, parseDuration, parseInteger, parseSpeed, switchOption } from "../parsing.js";
import { readRecordingFile } from "../recording-file.js";
import { statusText } from "../record-lines.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";

interface ReplayFlags extends LinesOptions {
  readonly model?: boolean;
  readonly until?: number;
  readonly speed?: number;
}

/** `zooid replay <file>`: prints what a recording holds, in the lines of `zooid watch`. */
export function addReplay(program: CliCommand, surroundings: Surroundings): void {
  program
    .command("replay")
    .description("Prints what happens in a recording of `zooid record`, in the lines of `zooid watch`.")
    .argument("<file>", "the recording")
    .argument("[actor]", "a path, with * for a part of one name and ** for any names, or the id of a machine; all actors when not given")
    .addOption(switchOption("--all", "ZOOID_WATCH_ALL", "also transitions that leave the state as it was, and actors without a machine"))
    .addOption(switchOption("--notes", "ZOOID_WATCH_NOTES", "also the way of every commit and invalidation"))
    .addOption(switchOption("--model", "ZOOID_REPLAY_MODEL", "print the actors as they are at the end, instead of the way there"))
    .addOption(option("--until <duration>", undefined, "stop at this time after the beginning, e.g. 90s").argParser(parseDuration))
    .addOption(option("--speed <factor>", undefined, "as fast as it happened with 1 (default: without pauses)").argParser(parseSpeed))
    .addOption(option("--count <lines>", undefined, "end after this many lines").argParser(parseInteger(1, Number.MAX_SAFE_INTEGER)))
    .addOption(jsonOption())
    .notes(
      `
It needs no broker. A file that was cut off or damaged is read up to there; damage is an error (exit code 1) at the end.

Examples:
  $ zooid replay run.zrec
  $ zooid replay run.zrec 'client/*/connection' --notes
  $ zooid replay run.zrec --until 30s --model
  $ zooid replay run.zrec --json | jq 'select(.type == "failed")'`,
    )
    .action(async (path: string, pattern: string | undefined, flags: ReplayFlags) => {
      const { out } = surroundings;
      const lines = new HappeningLines(out, actorPattern(pattern), flags);
      const model = emptyModel();
      const damage = await replay(path, flags, surroundings, async (entry) => {
        const happened = applyEntry(model, entry);
        if (flags.model === true) return false;
        const isOver = lines.print(happened);
        await lines.taken();
        return isOver;
      });
      if (flags.model === true) await printModel(model, flags, actorPattern(pattern), surroundings);
      if (damage !== undefined) throw damage;
    });
}

/** Reads the entries until `take` returns true. Returns the error of a damaged file, after what can be read of it. */
async function replay(
  path: string,
  { until = Infinity, speed }: ReplayFlags,
  { say, signal }: Surroundings,
  take: (entry: RecordEntry) => Promise<boolean>,
): Promise<CommandError | undefined> {
  let startedAt: number | undefined;
  const beganMs = systemClock.monotonic();
  for await (const part of readRecordingFile(path)) {
    signal.throwIfAborted();
    if (part.type === "damage") {
      const message = `${path} is ${part.isCut ? "cut off" : "damaged"} at byte ${part.at}: ${part.reason}`;
      if (!part.isCut) return new CommandError("ZOOID_FILE", message, { path, at: part.at });
      say(`zooid: ${message}. Everything before it was read`);
      return undefined;
    }
    if (part.type !== "entry") continue;
    startedAt ??= part.entry.at;
    const afterMs = part.entry.at - startedAt;
    if (afterMs > until) return undefined;
    const pauseMs = speed === undefined ? 0 : afterMs / speed - (systemClock.monotonic() - beganMs);
    if (pauseMs > 0) await delay(systemClock, pauseMs, signal);
    if (await take(part.entry)) return undefined;
  }
  return undefined;
}

async function printModel(
  model: RecordModel,
  flags: ReplayFlags,
  pattern: ReturnType<typeof actorPattern>,
  { out }: Surroundings,
): Promise<void> {
  if (flags.json === true) {
    await out.json(summaryOf(model), (_, part) => (typeof part === "bigint" ? String(part) : part));
    return;
  }
  const { instances, counts } = summaryOf(model);
  const actors = instances.flatMap(({ actors: all }) => all);
  const shown = actors.filter((actor) => pattern.matches(actor) && (flags.all === true || actor.machine !== undefined));
  for (const line of table(
    ["actor", "state", "events", "transitions"],
    shown.map((actor) => [actor.path, statusText(actor), String(actor.events), String(actor.transitions)]),
  ))
    await out.line(line);
  await out.line("");
  await out.line(
    Object.entries(counts)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
  );
}
