import type { Command } from "commander";
import { createActorSystem, machineToJson, machineToMermaid, openTransport } from "../../actors/index.js";
import { systemRandom, systemClock } from "../../core/index.js";
import { machines } from "../../machines/index.js";
import { actorsOf, drawActor, drawCurrent, isMachine, machineNamed, type SystemOfRealm } from "../actors.js";
import { addConnectionOptions, brokerOf, type ConnectionFlags, logOf } from "../connection.js";
import { CommandError } from "../failure.js";
import { option } from "../parsing.js";
import type { Surroundings } from "../surroundings.js";

interface MachinesFlags extends ConnectionFlags {
  readonly of?: string;
}

/** `zooid machines [name]`: draws state machines. */
export function addMachines(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("machines")
    .description("Draws state machines as Mermaid, or as JSON: those of Zooid, or a running one with its current state marked.")
    .argument("[name]", "a machine of Zooid, or the address of a running actor; all machines of Zooid when not given")
    .addOption(option("--of <name>", undefined, "mark the current state of this client's or storage's machine"))
    .addHelpText(
      "after",
      `
Machines of Zooid: ${Object.keys(machines).join(", ")}.
\`zooid status\` lists the addresses of running actors, also those of your own services.
GitHub and many editors draw Mermaid; so does https://mermaid.live.

Examples:
  $ zooid machines                              all of them
  $ zooid machines connection > connection.mmd
  $ zooid machines connection --of A            the connection of client A, with its current state
  $ zooid machines group-commit --of main --json
  $ zooid machines orders/4711 --realm shop     your own actor, with its current state`,
    );
  addConnectionOptions(command).action(async (name: string | undefined, flags: MachinesFlags) => {
    const { out } = surroundings;
    const names = name === undefined ? Object.keys(machines) : [name];
    if (flags.of !== undefined) {
      await out.line(await drawRunning(name, flags.of, flags));
      return;
    }
    if (name !== undefined && !isMachine(name)) {
      await out.line(await withSystem(flags, (system) => drawActor(system, name, flags.json === true)));
      return;
    }
    for (const each of names) {
      const machine = machineNamed(each);
      if (flags.json === true) await out.line(JSON.stringify(JSON.parse(machineToJson(machine))));
      else await out.line(names.length === 1 ? machineToMermaid(machine).trimEnd() : `%% ${each}\n${machineToMermaid(machine)}`);
    }
  });
}

async function drawRunning(name: string | undefined, of: string, flags: MachinesFlags): Promise<string> {
  if (name === undefined)
    throw new CommandError("ZOOID_USAGE", "--of needs a machine: `zooid machines connection --of A`; an actor of yours needs no --of");
  machineNamed(name);
  const draw = async (system: SystemOfRealm) =>
    flags.json === true ? JSON.stringify(await actorsOf(system, name, of)) : drawCurrent(system, name, of);
  return (await withSystem(flags, draw)).trimEnd();
}

async function withSystem<T>(flags: ConnectionFlags, use: (system: SystemOfRealm) => Promise<T>): Promise<T> {
  const seams = { clock: systemClock, random: systemRandom, log: logOf(flags) };
  const transport = await openTransport({ ...(await brokerOf(flags)), name: "zooid machines", ...seams });
  const system = createActorSystem({ realm: flags.realm, transport, ...seams });
  try {
    return await use({ system, realm: flags.realm });
  } finally {
    system.close();
    await transport.close();
  }
}
