import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option } from "commander";
import type { AnyStateMachine, StateValue } from "xstate";
import { describeMachine, type MachineDescription, machineToMermaid, machineToSvg } from "../../actors/index.js";
import { machines } from "../../machines/index.js";
import type { CliCommand } from "../command.js";
import { actorAt, actorsOf, isMachine, knownMachine, machineNamed } from "../actors.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { CommandError } from "../failure.js";
import { isMachineFile, machineOfFile } from "../machine-files.js";
import { option } from "../parsing.js";
import { withRealm } from "../realm-system.js";
import { printable } from "../printable.js";
import { withTime } from "../progress-display.js";
import type { Surroundings } from "../surroundings.js";

const formats = ["mermaid", "svg", "json"] as const;
type Format = (typeof formats)[number];

interface MachinesFlags extends ConnectionFlags {
  readonly of?: string;
  readonly format?: Format;
  readonly out?: string;
}

/** A machine, and the state of the actor that runs it. */
interface Drawn {
  readonly name: string;
  readonly machine: AnyStateMachine | MachineDescription;
  readonly current?: StateValue | undefined;
  /** Printed instead of the machine alone as JSON. */
  readonly json?: unknown;
}

/** `zooid machines [name]`: draws state machines. */
export function addMachines(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("machines")
    .description("Draws state machines: those of Zooid, one in a file of yours, or a running one with its current states marked.")
    .argument("[name]", "a machine of Zooid, a file that exports a machine, or the address of a running actor; default: all of Zooid")
    .addOption(option("--of <name>", undefined, "mark the current state of this client's, storage's or cache node's machine"))
    .addOption(new Option("--format <format>", "how to draw (default: mermaid; --json means json)").choices(formats))
    .addOption(option("--out <path>", undefined, "write into this file; with several machines, into files of this folder")).notes(`
Machines of Zooid: ${Object.keys(machines).join(", ")}.
\`zooid status\` lists the addresses of running actors, also those of your own services.
A file is an ES module, JavaScript or, from Node.js 22.18 on, TypeScript. The command imports it, and ends what it starts.
An SVG image is at most 900 pixels wide where the machine permits it, and light or dark as its reader prefers.
GitHub and many editors draw Mermaid; so does https://mermaid.live.

Examples:
  $ zooid machines                              all of Zooid, as Mermaid
  $ zooid machines connection > connection.mmd
  $ zooid machines --format svg --out pictures  an image of each in this folder
  $ zooid machines ./order-machine.js --format svg --out order.svg
  $ zooid machines ./machines.js#payment        one of several that the file exports
  $ zooid machines connection --of A --format svg --out now.svg
                                                the connection of client A, with its current states
  $ zooid machines group-commit --of main --json
  $ zooid machines orders/4711 --realm shop     your own actor, with its current states

In CI, this fails when a committed image no longer shows the machine:
  $ zooid machines ./order-machine.js --format svg --out order.svg && git diff --exit-code order.svg`);
  addConnectionOptions(command).action(async (name: string | undefined, flags: MachinesFlags) => {
    const { out, signal } = surroundings;
    const format = formatOf(flags);
    const drawn = await drawnOf(name, flags, signal);
    if (format === "svg" && flags.out === undefined && drawn.length > 1)
      throw new CommandError("ZOOID_USAGE", "several images do not fit into one output: name a machine, or a folder with --out");
    const texts: (readonly [name: string, text: string])[] = [];
    for (const each of drawn) texts.push([each.name, await textOf(each, format, signal)]);
    if (flags.out !== undefined) await write(texts, format, flags.out);
    else
      for (const [each, text] of texts)
        await out.line(format === "mermaid" && texts.length > 1 ? `%% ${each}\n${text.trimEnd()}\n` : text.trimEnd());
  });
}

function formatOf({ format, json = false }: MachinesFlags): Format {
  if (json && format !== undefined && format !== "json")
    throw new CommandError("ZOOID_USAGE", `--json and --format ${format} contradict each other`);
  return format ?? (json ? "json" : "mermaid");
}

async function drawnOf(name: string | undefined, flags: MachinesFlags, signal: AbortSignal): Promise<readonly Drawn[]> {
  if (flags.of !== undefined && name !== undefined && isMachineFile(name))
    throw new CommandError(
      "ZOOID_USAGE",
      `--of needs a machine of Zooid, and ${name} is a file: name the address of a running actor instead`,
    );
  if (flags.of !== undefined) return [await runningOf(name, flags.of, flags)];
  if (name === undefined) return Object.entries(machines).map(([each, machine]) => ({ name: each, machine }));
  if (isMachineFile(name)) {
    const machine = await machineOfFile(name, signal);
    return [{ name: machine.id, machine }];
  }
  if (isMachine(name)) return [{ name, machine: machineNamed(name) }];
  const { machine, view } = await withRealm(flags, "zooid machines", (system) => actorAt(system, name));
  if (machine === undefined && formatOf(flags) !== "json")
    throw new CommandError("ZOOID_NOT_FOUND", `the actor at ${name} is no machine: it cannot be drawn`);
  const described = machine ?? { id: name, type: "atomic" };
  return [{ name, machine: described, current: stateOf(view), json: { ...view, machine: machine ?? null } }];
}

async function runningOf(name: string | undefined, of: string, flags: MachinesFlags): Promise<Drawn> {
  if (name === undefined)
    throw new CommandError("ZOOID_USAGE", "--of needs a machine: `zooid machines connection --of A`; an actor of yours needs no --of");
  const named = machineNamed(name);
  const views = await withRealm(flags, "zooid machines", (system) => actorsOf(system, name, of));
  return { name, machine: knownMachine(views[0]?.machine) ?? named, current: stateOf(views[0]), json: views };
}

/** The state value of an actor; undefined if it has none. */
function stateOf(view: { readonly value: unknown } | undefined): StateValue | undefined {
  return (view?.value ?? undefined) as StateValue | undefined;
}

async function textOf({ name, machine, current, json }: Drawn, format: Format, signal: AbortSignal): Promise<string> {
  if (format === "svg") return withTime(`zooid: draws ${printable(name)}`, machineToSvg(machine, { current, signal }));
  if (format === "mermaid") return machineToMermaid(machine, { current });
  return `${JSON.stringify(json ?? ("root" in machine ? describeMachine(machine) : machine))}\n`;
}

const endings: Readonly<Record<Format, string>> = { mermaid: "mmd", svg: "svg", json: "json" };

/** Writes one text into the file `path`, or several into files of the folder `path`. */
async function write(texts: readonly (readonly [name: string, text: string])[], format: Format, path: string): Promise<void> {
  const [only, ...others] = texts;
  try {
    if (only !== undefined && others.length === 0) {
      await writeFile(path, only[1]);
      return;
    }
    await mkdir(path, { recursive: true });
    for (const [name, text] of texts) await writeFile(join(path, `${name}.${endings[format]}`), text);
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code !== "string") throw error;
    throw new CommandError("ZOOID_FILE", `--out ${path} cannot be written: ${whyNot[code] ?? code}`, {}, error);
  }
}

const whyNot: Readonly<Record<string, string>> = {
  EISDIR: "it is a folder, and one machine needs a file",
  EEXIST: "it is a file, and several machines need a folder",
  ENOENT: "its folder does not exist",
  ENOTDIR: "a part of the path is a file",
  EACCES: "permission denied",
};
