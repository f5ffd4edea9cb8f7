import { FaultyNetwork } from "../../testing/faulty-network.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { seededRandom } from "../../core/index.js";
import { type Setup, transportSuite } from "../../testing/suites/transport.js";

transportSuite("over a faulty network, while it is calm", async (): Promise<Setup> => {
  const clock = new SimulatedClock();
  const network = new FaultyNetwork({ clock, random: seededRandom(1) });
  let isOpen = true;
  let count = 0;
  // The suite runs in real time: the simulated clock follows it.
  const keepTime = async () => {
    const startMs = performance.now();
    while (isOpen) await clock.advance(performance.now() - startMs - clock.monotonic());
  };
  const keeping = keepTime();
  return {
    connect: async (log) => network.connect(`end-${++count}`, log === undefined ? {} : { log }),
    stop: async () => network.stop(),
    start: async () => network.start(),
    close: async () => {
      isOpen = false;
      await keeping;
    },
  };
});
