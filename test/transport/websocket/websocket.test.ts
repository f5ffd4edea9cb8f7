import { connectWebSocket, createBroker, serveBroker } from "../../../transport/index.js";
import { type Setup, transportSuite } from "../../../testing/suites/transport.js";

transportSuite("over WebSocket", async (): Promise<Setup> => {
  const broker = createBroker();
  const served = await serveBroker({ broker });
  return {
    connect: (log) => connectWebSocket({ url: served.url, ...(log === undefined ? {} : { log }) }),
    stop: async () => broker.stop(),
    start: async () => broker.start(),
    close: () => served.close(),
  };
});
