/** A process with an actor at the address `gate` of realm `main`; argument: its broker. Prints a line once it is up. */
import { createActor } from "xstate";
import { createActorSystem } from "../../../actors/system/actor-system.js";
import { connectNats } from "../../../transport/index.js";
import { gateEvents, gateMachine, showGate } from "./gate-machine.js";

const transport = await connectNats({ servers: process.argv[2] ?? "" });
const system = createActorSystem({ realm: "main", transport });
system.register("gate", createActor(gateMachine).start(), { accepts: gateEvents, describe: showGate });
await transport.flush();
process.stdout.write("ready\n");
