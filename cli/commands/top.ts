import type { Command } from "commander";
import { applyEntry, emptyModel, type RecordEntry, type RecordModel } from "../../actors/index.js";
import { systemClock } from "../../core/index.js";
import { actorPattern, type ActorPattern } from "../actor-pattern.js";
import { followRecord } from "../follow-record.js";
import { toJson } from "../json-values.js";
import { option, parseChoice, parseDurationIn, switchOption } from "../parsing.js";
import { addSourceOptions, type RecordSource, type SourceFlags, withSource } from "../record-source.js";
import { timeText } from "../record-lines.js";
import type { Surroundings } from "../surroundings.js";
import { table } from "../table.js";
import { Sampler, type TopSample } from "../top/sampler.js";
import { Screen } from "../top/screen.js";
import { afterKey, cellsOf, columnNames, firstView, headLines, screenLines, shownActors, type Sort, sorts } from "../top/top-view.js";

interface TopFlags extends SourceFlags {
  readonly once?: boolean;
  readonly all?: boolean;
  readonly sort: Sort;
  readonly interval: number;
}

/** A sample is taken when the processes have answered; with the one before it there are rates. */
const firstSampleMs = 500;

/** `zooid top`: a live table of all actors. */
export function addTop(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("top")
    .description("A live table of the actors of a realm: states, events, commits, hit rates, staleness; and each machine with its states.")
    .argument("[actor]", "a path, with * for a part of one name and ** for any names, or the id of a machine; all actors when not given")
    .addOption(switchOption("--once", "ZOOID_TOP_ONCE", "print one table, and end; without a terminal this is the default"))
    .addOption(switchOption("--all", "ZOOID_WATCH_ALL", "also actors without a machine, such as promises"))
    .addOption(
      option("--sort <column>", "ZOOID_TOP_SORT", `one of ${sorts.join(", ")}`)
        .argParser(parseChoice(sorts))
        .default("path"),
    )
    .addOption(
      option("--interval <duration>", "ZOOID_TOP_INTERVAL", "time between two tables (default: 1s)")
        .argParser(parseDurationIn(50, 24 * 60 * 60 * 1_000, "from 50ms to 1d"))
        .default(1_000, "1s"),
    )
    .addHelpText(
      "after",
      `
Keys: up and down select an actor, Enter shows its machine with the current states, s sorts, q ends, ? shows all keys.
With --json it prints one object at each interval.

Examples:
  $ zooid top
  $ zooid top 'client/**' --sort events
  $ zooid top --once --realm shop
  $ zooid top --json | jq -c '{commits, hitRate}'`,
    );
  addSourceOptions(command).action((text: string | undefined, flags: TopFlags) => {
    const notices: Notices = { say: surroundings.say };
    return withSource(flags, "zooid top", { say: (line) => notices.say(line) }, async (source) => {
      const pattern = actorPattern(text);
      if (flags.once === true || (flags.json !== true && !isTerminal())) await printOnce(source, flags, pattern, surroundings);
      else if (flags.json === true) await printJson(source, flags, pattern, surroundings);
      else await fillScreen(source, flags, pattern, { signal: surroundings.signal, notices });
    });
  });
}

/** Where lines about the link, and about applications, are printed. */
interface Notices {
  say: (line: string) => void;
}

interface ScreenSurroundings {
  readonly signal: AbortSignal;
  readonly notices: Notices;
}

/** Name of the place that is watched. */
function placeOf({ realm }: RecordSource): string {
  return realm === undefined ? "applications" : `realm ${realm}`;
}

function isTerminal(): boolean {
  return process.stdout.isTTY && process.stdin.isTTY;
}

/** The actors of `pattern` in a sample of the model. */
class Samples {
  readonly model: RecordModel = emptyModel();
  readonly #sampler = new Sampler();
  readonly #source: RecordSource;
  readonly #pattern: ActorPattern;

  constructor(source: RecordSource, pattern: ActorPattern) {
    this.#source = source;
    this.#pattern = pattern;
  }

  take(): TopSample {
    const { clock } = this.#source;
    const sample = this.#sampler.sample(this.model, clock.monotonic(), clock.now());
    return { ...sample, actors: sample.actors.filter((actor) => this.#pattern.matches({ path: actor.path, name: actor.machine })) };
  }
}

/** One table, or one object, when there are two moments to compare. */
async function printOnce(source: RecordSource, flags: TopFlags, pattern: ActorPattern, surroundings: Surroundings): Promise<void> {
  const samples = new Samples(source, pattern);
  const first = setTimeout(() => samples.take(), firstSampleMs);
  const take = (entry: RecordEntry) => {
    applyEntry(samples.model, entry);
    return false;
  };
  await followRecord(source, surroundings, { take, forMs: firstSampleMs + flags.interval }).finally(() => clearTimeout(first));
  const sample = samples.take();
  const { out } = surroundings;
  if (flags.json === true) {
    await out.json(jsonOf(sample, flags));
    return;
  }
  for (const { text } of headLines(sample, placeOf(source))) await out.line(text);
  const rows = shownActors({ sort: flags.sort, isReversed: false, all: flags.all === true }, sample).map(cellsOf);
  for (const line of table(columnNames, rows)) await out.line(line);
}

/** One object at each interval. A slow reader gets fewer of them. */
async function printJson(source: RecordSource, flags: TopFlags, pattern: ActorPattern, surroundings: Surroundings): Promise<void> {
  const samples = new Samples(source, pattern);
  let isPrinting = false;
  const interval = setInterval(() => {
    if (isPrinting) return;
    isPrinting = true;
    void surroundings.out.json(jsonOf(samples.take(), flags)).finally(() => (isPrinting = false));
  }, flags.interval);
  const take = (entry: RecordEntry) => {
    applyEntry(samples.model, entry);
    return false;
  };
  await followRecord(source, surroundings, { take }).finally(() => clearInterval(interval));
}

function jsonOf(sample: TopSample, flags: TopFlags): object {
  const shown = shownActors({ sort: flags.sort, isReversed: false, all: flags.all === true }, sample);
  const actors = shown.map(({ key: _key, hasMachine: _has, context, ...actor }) => ({ ...actor, context: toJson(context) }));
  return { realm: flags.realm, ...sample, at: Math.floor(sample.at), actors };
}

async function fillScreen(
  source: RecordSource,
  flags: TopFlags,
  pattern: ActorPattern,
  { signal, notices }: ScreenSurroundings,
): Promise<void> {
  const samples = new Samples(source, pattern);
  let view = { ...firstView, sort: flags.sort, all: flags.all === true };
  let sample = samples.take();
  const quit = new AbortController();
  let notice: string | undefined;
  const draw = () => screen.show(screenLines(view, { sample, model: samples.model, place: placeOf(source), notice }, screen.size));
  const screen = new Screen({
    input: process.stdin,
    output: process.stdout,
    hasColor: (process.env["NO_COLOR"] ?? "") === "",
    onKey: (key) => {
      const next = afterKey(view, key, sample, screen.size.height - 5);
      if (next === undefined) quit.abort();
      else view = next;
      draw();
    },
    onResize: draw,
    onExit: (action) => {
      process.once("exit", action);
      return () => process.off("exit", action);
    },
  });
  const refresh = () => {
    if (!view.isPaused) sample = samples.take();
    draw();
  };
  const first = setTimeout(refresh, firstSampleMs);
  const interval = setInterval(refresh, flags.interval);
  const { say } = notices;
  notices.say = (line) => {
    notice = `${timeText(systemClock.now()).slice(0, 8)}   ${line.replace(/^zooid: /, "")}`;
    draw();
  };
  try {
    draw();
    const ended = new Promise<void>((resolve) => quit.signal.addEventListener("abort", () => resolve(), { once: true }));
    const following = followRecord(
      source,
      { say: notices.say, signal: AbortSignal.any([signal, quit.signal]) },
      {
        take: (entry) => {
          applyEntry(samples.model, entry);
          return false;
        },
      },
    );
    await Promise.race([following, ended]);
    if (quit.signal.aborted) await following.catch(() => undefined);
  } finally {
    clearTimeout(first);
    clearInterval(interval);
    screen.close();
    notices.say = say;
  }
}
