import { expect, test } from "vitest";
import { createBroker, openTransport, serveBroker } from "../../transport/index.js";
import { rejected } from "../../testing/suites/transport-steps.js";

test("ws:// opens a transport over WebSocket", async () => {
  const served = await serveBroker({ broker: createBroker() });
  const transport = await openTransport({ servers: served.url });
  expect(transport).toMatchObject({ kind: "websocket", status: "connected", address: served.url });
  await transport.close();
  await served.close();
});

test("nats:// opens a transport over NATS, even before there is a broker", async () => {
  const transport = await openTransport({ servers: ["nats://127.0.0.1:1", "tls://127.0.0.1:1"], waitForFirst: false });
  expect(transport).toMatchObject({ kind: "nats", status: "disconnected", address: "127.0.0.1:1" });
  await transport.close();
});

test.each([
  [{ servers: "redis://localhost" }, "servers", "redis://"],
  [{ servers: "http://localhost" }, "servers", "http://"],
  [{ servers: [] }, "servers", "empty"],
  [{ servers: "" }, "servers", ""],
  [{ servers: ["nats://localhost", "ws://localhost"] }, "servers", "mixes"],
  [{ servers: "ws://localhost", token: "secret" }, "token", "NATS"],
  [{ servers: "ws://localhost", tls: {} }, "tls", "NATS"],
  [{ servers: "ws://" }, "url", "ws://"],
  [{ servers: "nats://localhost", token: 5 }, "token", "not a string"],
  [{ servers: "nats://localhost", user: "a", password: 5 }, "password", "not a string"],
  [{ servers: "nats://localhost", resolve: "dns" }, "resolve", "not a function"],
  [{ servers: "nats://localhost", tls: true }, "tls", "write tls://"],
  [{ servers: "nats://localhost", tls: { caPath: "ca.pem" } }, "tls.caPath", "not known"],
  [{ servers: "nats://localhost", tls: { caFile: 5 } }, "tls.caFile", "not a string"],
  [{ servers: "nats://localhost", inboxPrefix: "a b" }, "inboxPrefix", "tokens"],
] as const)("%j is InvalidOptionError and says what is wrong", async (options, option, reason) => {
  expect(await rejected(openTransport(options as never))).toMatchObject({
    code: "ZOOID_INVALID_OPTION",
    facts: { option, reason: expect.stringContaining(reason) },
  });
});
