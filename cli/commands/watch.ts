import type { Command } from "commander";
import { applyEntry, emptyModel, type RecordEntry, type RecordModel } from "../../actors/index.js";
import { actorPattern } from "../actor-pattern.js";
import { followRecord } from "../follow-record.js";
import { HappeningLines } from "../happening-lines.js";
import { option, parseDuration, parseInteger, switchOption } from "../parsing.js";
import { addSourceOptions, type SourceFlags, withSource } from "../record-source.js";
import type { Surroundings } from "../surroundings.js";

interface WatchFlags extends SourceFlags {
  readonly all?: boolean;
  readonly notes?: boolean;
  readonly for?: number;
  readonly count?: number;
}

/** Without an actor that matches, a notice is printed after this time: processes answer within much less. */
const noticeAfterMs = 1_500;
/** Paths in such a notice. */
const pathsNamedMax = 20;

/** `zooid watch [actor]`: prints what actors do. */
export function addWatch(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("watch")
    .description("Prints what actors do, one line for each change of state: states, event, guards, actions.")
    .argument("[actor]", "a path, with * for a part of one name and ** for any names, or the id of a machine; all actors when not given")
    .addOption(
      switchOption(
        "--all",
        "ZOOID_WATCH_ALL",
        "also transitions that leave the state as it was, and actors without a machine, such as promises",
      ),
    )
    .addOption(
      switchOption("--notes", "ZOOID_WATCH_NOTES", "also the way of every commit and invalidation, from client to server to every cache"),
    )
    .addOption(option("--for <duration>", undefined, "end after this time, e.g. 10s (default: when interrupted)").argParser(parseDuration))
    .addOption(option("--count <lines>", undefined, "end after this many lines").argParser(parseInteger(1, Number.MAX_SAFE_INTEGER)))
    .addHelpText(
      "after",
      `
A line is: time, path, state before -> state after, event [guards] / actions, and the actor that sent the event. Actors record
only while they are watched. A process with more than 2,000 events in a second sends its states, and counts what it leaves out.

Examples:
  $ zooid watch                                  every actor of the realm
  $ zooid watch client/shop-1/connection
  $ zooid watch 'server/**' --notes              and the commits, with transaction id and tid
  $ zooid watch connection --for 10s             the connections of all clients
  $ zooid watch --inspector 8080                 any XState application, by createWebSocketInspector
  $ zooid watch 'orders/*' --realm shop --json | jq 'select(.type == "failed")'`,
    );
  addSourceOptions(command).action((text: string | undefined, flags: WatchFlags) =>
    withSource(flags, "zooid watch", surroundings, async (source) => {
      const lines = new HappeningLines(surroundings.out, actorPattern(text), flags);
      const model = emptyModel();
      const show = () => {
        if (!lines.hasMatched) surroundings.say(noticeOf(source.realm, text, model));
      };
      const take = (entry: RecordEntry) => lines.print(applyEntry(model, entry));
      await followRecord(source, surroundings, { take, forMs: flags.for, notice: { afterMs: noticeAfterMs, show } });
    }),
  );
}

/** Why nothing is printed yet. */
function noticeOf(realm: string | undefined, text: string | undefined, { instances }: RecordModel): string {
  const paths = [...instances.values()].flatMap(({ actors }) => Array.from(actors.values(), ({ path }) => path)).toSorted();
  if (realm === undefined) return "zooid: no actor of an application is there yet";
  if (paths.length === 0) return `zooid: no actor of realm ${JSON.stringify(realm)} is there yet (--realm names another): waiting`;
  const shown = [...paths.slice(0, pathsNamedMax), ...(paths.length > pathsNamedMax ? ["…"] : [])].join(", ");
  return `zooid: no actor is ${JSON.stringify(text ?? "**")} yet: waiting. Actors in realm ${JSON.stringify(realm)} are ${shown}`;
}
