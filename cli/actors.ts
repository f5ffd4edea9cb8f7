import type { ActorSystem, ActorView } from "../actors/index.js";
import { machineToMermaid } from "../actors/index.js";
import type { Value } from "../index.js";
import { machines } from "../machines/index.js";
import { CommandError } from "./failure.js";

/** Processes of one realm answer within this, or are not there. */
export const actorsAnswerMs = 250;

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
  throw new CommandError("ZOOID_USAGE", `there is no machine ${JSON.stringify(name)}: there are ${Object.keys(machines).join(", ")}`);
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
