import { FaultyNetwork } from "../../testing/faulty-network.js";
import { jetStreamEnd, SimulatedJetStream } from "../../testing/simulated-jetstream.js";
import { seededRandom, systemClock } from "../../core/index.js";
import { busPace, busSuite } from "../../testing/suites/bus.js";
import { createJetStreamBus } from "../../actors/cache/bus/stream-bus.js";

busSuite("over a simulated JetStream", { oneOrder: true, keepsHistory: true, hasLinks: true }, async () => {
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock: systemClock, random });
  const jetStream = new SimulatedJetStream({ network, random, faults: { unsaid: 0, followerLagMsMax: 0, windowMax: 8, saysTime: true } });
  let names = 0;
  return {
    open: async (prefix = "p") => {
      const name = `node${++names}`;
      const transport = network.connect(name);
      const bus = createJetStreamBus({ transport, prefix, ...busPace, random });
      const link = {
        cut: () => transport.cut(),
        stall: () => {
          network.sever(jetStreamEnd, name);
          network.sever(name, jetStreamEnd);
        },
        mend: () => {
          network.heal();
          transport.mend();
        },
      };
      return { bus, link, close: () => transport.close() };
    },
    restart: async () => {
      network.stop();
      network.start();
    },
    close: async () => jetStream.pause(),
  };
});
