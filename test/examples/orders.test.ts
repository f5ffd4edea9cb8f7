import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { ShownEvent } from "../../examples/orders/kept-service.js";
import { built } from "../support/built.js";
import { temporaryFolders } from "../support/temporary-folder.js";
import { until } from "../support/until.js";

const makeFolder = temporaryFolders();

/** Runs `npm run orders` with the broker in its process. */
async function started(...flags: readonly string[]) {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, "close");
  const folder = await makeFolder();
  const words = ["--broker", "in-process", "--port", String(port), "--data", folder, "--every", "50", "--json", ...flags];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, [built("examples/orders/start.js"), ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const events: ShownEvent[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => events.push(JSON.parse(line) as ShownEvent));
  return { child, events, ended: once(child, "exit") };
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("npm run orders ships orders, and ends by itself after the last one", async () => {
  const { events, ended } = await started("--orders", "2");
  expect(await ended).toEqual([0, null]);
  const shipped = events.filter((event) => event.event === "state" && event.state === "shipped");
  expect(shipped.length).toBeGreaterThanOrEqual(2);
  const pids = events.flatMap((event) => (event.event === "started" ? [event.pid] : []));
  expect(pids.filter(isAlive)).toEqual([]);
});

test("npm run orders starts a killed service again, ships its orders all the same, and closes at SIGTERM", async () => {
  const { child, events, ended } = await started();
  const shipped = () => events.filter((event) => event.event === "state" && event.state === "shipped").length;
  await until(() => shipped() > 0);
  const payments = events.find((event) => event.event === "started" && event.service === "payments");
  if (payments?.event !== "started") throw new Error("the payment service has not been started");
  process.kill(payments.pid, "SIGKILL");
  await until(() => events.some((event) => event.event === "ended" && event.how === "SIGKILL"));
  const before = shipped();
  await until(() => shipped() > before + 1);
  child.kill("SIGTERM");
  await ended;
  const pids = events.flatMap((event) => (event.event === "started" ? [event.pid] : []));
  expect(pids.length).toBeGreaterThanOrEqual(3);
  await until(() => !pids.some(isAlive));
}, 60_000);
