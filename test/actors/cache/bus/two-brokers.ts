import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedCluster } from "../../../../testing/simulated-cluster.js";
import { seededRandom } from "../../../../core/index.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

/** A cluster of two brokers of plain NATS. `open` links a node to the broker of this number, and follows its bus. */
export function twoBrokers() {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const brokers = new SimulatedCluster({ clock, random, size: 2, routeMsMin: 1, routeMsMax: 2 });
  const network = new FaultyNetwork({ clock, random, brokers });
  const open = async (name: string, broker: number) => {
    brokers.move(name, broker);
    const end = network.connect(name);
    const bus = createPlainBus({ transport: end, prefix: "p", clock, random });
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(undefined), 1_000);
    return { end, bus, heard };
  };
  return { clock, brokers, network, open };
}
