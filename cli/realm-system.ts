import { createActorSystem, openTransport, type Transport } from "../actors/index.js";
import { type Clock, systemClock, systemRandom } from "../core/index.js";
import type { SystemOfRealm } from "./actors.js";
import { brokerOf, type BrokerFlags, logOf } from "./connection.js";

/** An actor system in the realm of the flags, and the link to its broker. */
export interface RealmSystem extends SystemOfRealm {
  readonly transport: Transport;
  readonly clock: Clock;
}

/** Runs `use` with an actor system of the realm, and closes it afterwards. `name` is shown by the broker. */
export async function withRealm<T>(flags: BrokerFlags, name: string, use: (realm: RealmSystem) => Promise<T>): Promise<T> {
  const seams = { clock: systemClock, random: systemRandom, log: logOf(flags) };
  const transport = await openTransport({ ...(await brokerOf(flags)), name, ...seams });
  const system = createActorSystem({ realm: flags.realm, transport, ...seams });
  try {
    return await use({ realm: flags.realm, system, transport, clock: systemClock });
  } finally {
    system.close();
    await transport.close();
  }
}
