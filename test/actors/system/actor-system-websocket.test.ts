import { afterAll, beforeAll } from "vitest";
import { connectWebSocket, createBroker } from "../../../transport/index.js";
import { type ServedBroker, serveBroker } from "../../../transport/websocket/broker.js";
import { actorSystemSuite } from "../../suites/actor-system.js";

let served: ServedBroker;

beforeAll(async () => {
  served = await serveBroker({ broker: createBroker() });
});

afterAll(async () => {
  await served.close();
});

actorSystemSuite("the broker in a process, over WebSocket", () => connectWebSocket({ url: served.url }));
