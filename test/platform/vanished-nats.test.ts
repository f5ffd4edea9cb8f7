import { connect as connectSocket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startBroker } from "./broker.js";

const intervalMs = 1_000;
const pingMax = 2;
/** A busy machine delivers the end of a connection late. */
const slackMs = 5_000;

test("a client that vanishes has its subscriptions for more than ping_interval × (ping_max + 1), and at most one interval longer", async () => {
  await using broker = await startBroker({ config: `ping_interval: "${intervalMs}ms"\nping_max: ${pingMax}` });
  const socket = connectSocket(broker.server.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let hasVanished = false;
  let pings = 0;
  socket.on("error", () => undefined);
  const ended = new Promise((resolve) => socket.on("close", resolve));
  const heard = (what: string) =>
    new Promise<void>((resolve) => socket.on("data", (data: Buffer) => data.toString().includes(`${what}\r\n`) && resolve()));
  socket.on("data", (data) => {
    if (!data.toString().includes("PING\r\n")) return;
    if (hasVanished) pings++;
    else socket.write("PONG\r\n");
  });
  const [subscribed, pinged] = [heard("PONG"), heard("PING")];
  socket.write('CONNECT {"verbose":false}\r\nSUB questions 1\r\nPING\r\n');
  await Promise.all([subscribed, pinged]);
  const ask = () => broker.connection.request("questions", "", { timeout: 200 }).catch((error: unknown) => String(error));

  // It sends a message, and vanishes.
  socket.write("PUB heartbeats 0\r\n\r\n");
  hasVanished = true;
  const vanishedAt = performance.now();
  expect(await ask()).toMatch(/timeout/i);
  await ended;
  const tookMs = performance.now() - vanishedAt;
  expect(await ask()).toMatch(/no responders/i);
  expect(pings).toBe(pingMax);
  expect(tookMs).toBeGreaterThan((pingMax + 1) * intervalMs - 50);
  expect(tookMs).toBeLessThan((pingMax + 2) * intervalMs + slackMs);
});
