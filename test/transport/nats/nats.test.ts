import { connectNats } from "../../../transport/index.js";
import { startNatsServer } from "../../support/nats-server.js";
import { type Setup, transportSuite } from "../../../testing/suites/transport.js";

transportSuite("over NATS", async (): Promise<Setup> => {
  const server = await startNatsServer();
  return {
    connect: (log) => connectNats({ servers: server.url, ...(log === undefined ? {} : { log }) }),
    stop: () => server.kill(),
    start: () => server.restart(),
    close: () => server.stop(),
  };
});
