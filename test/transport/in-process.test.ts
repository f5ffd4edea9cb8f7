import { createBroker } from "../../transport/index.js";
import { type Setup, transportSuite } from "../../testing/suites/transport.js";

transportSuite("in one process", async (): Promise<Setup> => {
  const broker = createBroker();
  return {
    connect: async (log) => broker.connect(log),
    stop: async () => broker.stop(),
    start: async () => broker.start(),
    close: async () => broker.stop(),
  };
});
