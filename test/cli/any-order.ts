import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect } from "vitest";
import type { RunningUp } from "../examples/running-up.js";

/** Stops and starts storage server and broker in an order in which the server has to wait for the broker. */
export async function expectAnyOrder(up: RunningUp): Promise<void> {
  const post = async (path: string): Promise<unknown> => (await fetch(`${up.control}${path}`, { method: "POST" })).json();
  await post("/server/stop");
  await post("/broker/stop");
  const serving = post("/server/start");
  await up.event("notice", ({ text }) => text === "the storage server is started; it waits for the broker");
  // A waiting server can be stopped, and started again.
  await post("/server/stop");
  await serving;
  const again = post("/server/start");
  expect(await post("/broker/start")).toMatchObject({ running: { broker: true } });
  expect(await again).toMatchObject({ running: { broker: true, "storage server": true } });
}

/** Opens sockets of several kinds, and returns them open. An upgrade request for an unknown path is answered. */
export async function openSockets(up: RunningUp): Promise<readonly Socket[]> {
  const port = Number(new URL(up.control).port);
  const open = async (text: string): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(text);
    return socket;
  };
  const host = `Host: 127.0.0.1:${port}\r\n`;
  const upgrade = await open(`GET /elsewhere HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  const [answer] = (await once(upgrade, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 426 /);
  const keptAlive = await open(`GET / HTTP/1.1\r\n${host}\r\n`);
  await once(keptAlive, "data");
  const half = await open(`POST /scenario HTTP/1.1\r\n${host}Content-Length: 100\r\n`);
  return [upgrade, keptAlive, half];
}
