import type { Command } from "commander";
import { type ActorSystem, createActorSystem, machineToJson, machineToMermaid, openTransport } from "../../actors/index.js";
import { systemRandom, systemClock } from "../../core/index.js";
import { machines } from "../../machines/index.js";
import { actorsOf, drawActor, drawCurrent, isMachine, machineNamed } from "../actors.js";
import { addConnectionOptions, brokerOf, type ConnectionFlags, logOf } from "../connection.js";
import { option } from "../parsing.js";
import type { Surroundings } from "../surroundings.js";

interface MachinesFlags extends ConnectionFlags {
  readonly of?: string;
}

/** `zooid machines [name]`: the lifecycles, as pictures. */
export function addMachines(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("machines")
    .description("Draws the lifecycles as Mermaid, or as JSON: as they are written, or with the current state of one that runs.")
    .argument("[name]", "one machine of Zooid, or the address of an actor that runs; all machines of Zooid when not given")
    .addOption(option("--of <name>", undefined, "the running one of this client or storage, with its current state marked"))
    .addHelpText(
      "after",
      `
Machines: ${Object.keys(machines).join(", ")}.
Addresses of actors, those of your own services too, are in \`zooid status\`.
Mermaid is drawn by GitHub, by many editors, and at https://mermaid.live.

Examples:
  $ zooid machines                              all of them
  $ zooid machines connection > connection.mmd
  $ zooid machines connection --of A            where the connection of client A stands
  $ zooid machines group-commit --of main --json
  $ zooid machines orders/4711 --realm shop     your own machine, with the state it is in`,
    );
  addConnectionOptions(command).action(async (name: string | undefined, flags: MachinesFlags) => {
    const { out } = surroundings;
    const names = name === undefined ? Object.keys(machines) : [name];
    if (flags.of !== undefined) {
      await out.line(await drawRunning(names, flags.of, flags));
      return;
    }
    if (name !== undefined && flags.of === undefined && !isMachine(name)) {
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

async function drawRunning(names: readonly string[], of: string, flags: MachinesFlags): Promise<string> {
  const drawings = await withSystem(flags, async (system) => {
    const drawn: string[] = [];
    for (const name of names)
      drawn.push(flags.json === true ? JSON.stringify(await actorsOf(system, name, of)) : await drawCurrent(system, name, of));
    return drawn;
  });
  return drawings.join("\n").trimEnd();
}

async function withSystem<T>(flags: ConnectionFlags, use: (system: ActorSystem) => Promise<T>): Promise<T> {
  const seams = { clock: systemClock, random: systemRandom, log: logOf(flags) };
  const transport = await openTransport({ ...(await brokerOf(flags)), name: "zooid machines", ...seams });
  const system = createActorSystem({ realm: flags.realm, transport, ...seams });
  try {
    return await use(system);
  } finally {
    system.close();
    await transport.close();
  }
}
