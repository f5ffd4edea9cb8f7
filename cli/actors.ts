import type { ActorSystem, ActorView } from "../actors/index.js";
import { machineToMermaid, NoActorError } from "../actors/index.js";
import { InvalidOptionError, type Value } from "../index.js";
import { machines } from "../machines/index.js";
import { didYouMean } from "../core/similar-name.js";
import { CommandError } from "./failure.js";

/** Processes of one realm answer within this, or are not there. */
export const actorsAnswerMs = 250;

/** Addresses that an error names. */
const actorsNamedMax = 20;

/** The state an actor is in, as one word: `linked.readWrite`; regions of a parallel state with `|`. */
export function stateText(value: Value): string {
  if (value === null) return "running";
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([name, inner]) =>
      typeof inner === "object" && inner !== null && Object.keys(inner).length === 0 ? name : `${name}.${stateText(inner as Value)}`,
    )
    .join(" | ");
}

/** The state of an actor that runs, or how it ended: `failed: the reason`, `done`, `stopped`. */
export function shownState({ status, value, failure }: ActorView): string {
  if (status === "active") return stateText(value);
  return failure === null ? status : `failed: ${failure}`;
}

/** A machine by its name. Throws a CommandError that names those there are. */
export function machineNamed(name: string) {
  const found = Object.entries(machines).find(([each]) => each === name)?.[1];
  if (found !== undefined) return found;
  throw new CommandError(
    "ZOOID_USAGE",
    `there is no machine ${JSON.stringify(name)}${didYouMean(name, Object.keys(machines)) || ":"} there are ${Object.keys(machines).join(", ")}`,
  );
}

/** Whether `name` is that of a machine of Zooid, or was meant to be; else it is the address of an actor. */
export function isMachine(name: string): boolean {
  return Object.hasOwn(machines, name) || (!name.includes("/") && didYouMean(name, Object.keys(machines)) !== "");
}

/**
 * The machine of the actor at the address `path` with its current state marked; with `json` its view and its machine as one object. Throws
 * a CommandError when no actor is there, or its logic is no machine.
 */
export async function drawActor(system: ActorSystem, path: string, json: boolean): Promise<string> {
  try {
    const actor = system.remote(path);
    const [machine, view] = await Promise.all([actor.machine(), actor.snapshot()]);
    if (json) return JSON.stringify({ ...view, machine: machine ?? null });
    if (machine === undefined) throw new CommandError("ZOOID_NOT_FOUND", `the actor at ${path} is no machine: it cannot be drawn`);
    return machineToMermaid(machine, { current: (view.value ?? undefined) as never }).trimEnd();
  } catch (error) {
    if (!(error instanceof NoActorError || error instanceof InvalidOptionError)) throw error;
    const names = Object.keys(machines).join(", ");
    const reason = `there is no machine and no actor ${JSON.stringify(path)}: machines are ${names}`;
    const others = (await system.list(actorsAnswerMs)).map((view) => view.path);
    const shown = others.slice(0, actorsNamedMax).join(", ") + (others.length > actorsNamedMax ? ", …" : "");
    throw new CommandError(
      "ZOOID_NOT_FOUND",
      others.length === 0 ? `${reason}; no actor runs in this realm` : `${reason}; actors are ${shown}`,
    );
  }
}

/** Views of the running actors of machine `name`, those of `of` (a client, a storage) alone if named. Throws a CommandError when none is. */
export async function actorsOf(system: ActorSystem, name: string, of: string | undefined): Promise<readonly ActorView[]> {
  const views = await system.list(actorsAnswerMs);
  const named = views.filter(({ path }) => path.split("/").at(-1) === name || path.split("/").includes(name));
  const found = named.filter(({ path }) => of === undefined || path.split("/").includes(of));
  if (found.length > 0) return found;
  const others = named.map(({ path }) => path).join(", ");
  const whose = of === undefined ? "" : ` of ${JSON.stringify(of)}`;
  throw new CommandError("ZOOID_NOT_FOUND", `no ${name}${whose} runs${others === "" ? "" : `; there are ${others}`}`);
}

/** The machine `name` with the state of the actor of `of` marked. */
export async function drawCurrent(system: ActorSystem, name: string, of: string): Promise<string> {
  const machine = machineNamed(name);
  const [view] = await actorsOf(system, name, of);
  return machineToMermaid(machine, { current: (view?.value ?? undefined) as never });
}
