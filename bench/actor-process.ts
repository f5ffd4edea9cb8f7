/** A process with an actor at the address `lamp`, over NATS. */
import { z } from "zod";
import { createActorSystem, openTransport } from "../actors/index.js";
import { lampMachine } from "./lamp-machine.js";
import { answer, processDetails } from "./process.js";

const { url } = processDetails();
const transport = await openTransport({ servers: url });
const system = createActorSystem({ realm: "bench", transport });
const by = z.object({ by: z.string() });
system.spawn("lamp", lampMachine, { accepts: { ON: by, OFF: by } });
await transport.flush();
answer({});
