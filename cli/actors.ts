import type { ActorSystem, ActorView, MachineDescription } from "../actors/index.js";
import { machineToMermaid, NoActorError } from "../actors/index.js";
import { InvalidOptionError, type Value } from "../index.js";
import { machines } from "../machines/index.js";
import { didYouMean } from "../core/similar-name.js";
import { CommandError } from "./failure.js";

/** Time for the processes of a realm to answer. */
export const actorsAnswerMs = 250;

/** An error names at most this many addresses. */
const actorsNamedMax = 20;

/** An actor system with the name of its realm, for errors. */
export interface SystemOfRealm {
  readonly system: ActorSystem;
  readonly realm: string;
}

/** The state of an actor as one word: `attached.registering`; regions of a parallel state are separated by `|`. */
export function stateText(value: Value): string {
  // A machine without states has an empty value.
  if (value === null || (typeof value === "object" && Object.keys(value).length === 0)) return "running";
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([name, inner]) =>
      typeof inner === "object" && inner !== null && Object.keys(inner).length === 0 ? name : `${name}.${stateText(inner as Value)}`,
    )
    .join(" | ");
}

/**
 * The state of a running actor with its failures, `restarting` with their number and reason, or the way it ended:
 * `failed: the reason`, `done`, `stopped`.
 */
export function shownState({ status, value, failure, failures }: ActorView): string {
  const times = failures === 1 ? "failed once" : `failed ${failures} times`;
  if (status === "error") return `failed: ${failure ?? "for an unknown reason"}`;
  const state = status === "active" ? stateText(value) : status;
  return failures === 0 || failure === null ? state : `${state} (${times}, the last time: ${failure})`;
}

/** A machine by its name. Throws a CommandError that names all machines. */
export function machineNamed(name: string) {
  const found = knownMachine(name);
  if (found !== undefined) return found;
  throw new CommandError(
    "ZOOID_USAGE",
    `there is no machine ${JSON.stringify(name)}${didYouMean(name, Object.keys(machines)) || ":"} machines are ${Object.keys(machines).join(", ")}`,
  );
}

/** The machine of this name; undefined: it is none of Zooid. */
export function knownMachine(name: string | undefined) {
  return Object.entries(machines).find(([each]) => each === name)?.[1];
}

/** Whether `name` is a machine of Zooid, or looks like a misspelled one. Any other name is the address of an actor. */
export function isMachine(name: string): boolean {
  return Object.hasOwn(machines, name) || (!name.includes("/") && didYouMean(name, Object.keys(machines)) !== "");
}

/** The view and the machine of the actor at the address `path`. Throws a CommandError when there is no actor. */
export async function actorAt(
  { system, realm }: SystemOfRealm,
  path: string,
): Promise<{ readonly view: ActorView; readonly machine: MachineDescription | undefined }> {
  try {
    const actor = system.remote(path);
    const [machine, view] = await Promise.all([actor.machine(), actor.snapshot()]);
    return { view, machine };
  } catch (error) {
    if (!(error instanceof NoActorError || error instanceof InvalidOptionError)) throw error;
    const running = runningIn(realm, await system.list(actorsAnswerMs));
    const names = Object.keys(machines).join(", ");
    throw new CommandError(
      "ZOOID_NOT_FOUND",
      `there is no machine and no actor ${JSON.stringify(path)}: ${running}; machines of Zooid are ${names}`,
    );
  }
}

/** For errors: the addresses of `views`, all of `realm`. */
function runningIn(realm: string, views: readonly ActorView[]): string {
  if (views.length === 0) return `no actor runs in realm ${JSON.stringify(realm)}, and --realm names another`;
  const shown = views.slice(0, actorsNamedMax).map(({ path }) => path);
  return `actors in realm ${JSON.stringify(realm)} are ${[...shown, ...(views.length > actorsNamedMax ? ["…"] : [])].join(", ")}`;
}

/**
 * Views of the running actors of machine `name` that belong to `of`: a client, a storage, or a node of a cache. `bus`
 * stands for the machine of either kind of bus. Throws a CommandError when there is none.
 */
export async function actorsOf({ system, realm }: SystemOfRealm, name: string, of: string): Promise<readonly ActorView[]> {
  const views = await system.list(actorsAnswerMs);
  const named = views.filter(({ path, machine }) => path.split("/").includes(name) || machine === name);
  const found = named.filter(({ path }) => path.split("/").includes(of));
  if (found.length > 0) return found;
  const running = runningIn(realm, named.length > 0 ? named : views);
  throw new CommandError("ZOOID_NOT_FOUND", `no ${name} of ${JSON.stringify(of)} runs: ${running}`);
}

/** Draws the machine that the actor `name` of `of` runs, with its current state marked. */
export async function drawCurrent(system: SystemOfRealm, name: string, of: string): Promise<string> {
  const named = machineNamed(name);
  const [view] = await actorsOf(system, name, of);
  const machine = knownMachine(view?.machine) ?? named;
  return machineToMermaid(machine, { current: (view?.value ?? undefined) as never });
}
