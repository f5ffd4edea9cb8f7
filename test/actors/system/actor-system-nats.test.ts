import { afterAll, beforeAll } from "vitest";
import { connectNats } from "../../../transport/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { actorSystemSuite } from "../../suites/actor-system.js";

let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
});

afterAll(async () => {
  await server.stop();
});

actorSystemSuite("NATS", () => connectNats({ servers: server.url }));
