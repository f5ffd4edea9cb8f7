import { afterEach, expect, test } from "vitest";
import { Controls } from "../../examples/cities/up/controls.js";
import { type ControlServer, openControlServer } from "../../examples/cities/up/control-server.js";
import { createSetup, type Setup } from "../../examples/cities/up/setup.js";
import type { UpEvent } from "../../examples/cities/up/report.js";
import { silentLog, systemClock } from "../../core/index.js";
import { freePorts } from "../cli/free-ports.js";
import { temporaryFolders } from "../support/temporary-folder.js";
import { until } from "../support/until.js";

const folder = temporaryFolders();
const ends: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** Broker and storage server of `npm start` in this process, both running, and what the keys `b` and `s` do. */
async function started() {
  const events: UpEvent[] = [];
  const report = (event: UpEvent): void => void events.push(event);
  const [port = 0, controlPort = 0, a = 0, b = 0] = await freePorts(4);
  const flags = { data: await folder(), broker: "in-process", port, controlPort, servicePorts: [a, b], cities: 0 } as const;
  const controls = new Controls({ clock: systemClock, report, signal: new AbortController().signal, quit: () => undefined });
  const control: ControlServer = await openControlServer(controlPort, controls);
  ends.push(() => control.close());
  const setup: Setup = await createSetup({ flags, control, clock: systemClock, log: silentLog, report, environment: {} });
  ends.push(async () => {
    await setup.server.stop();
    await setup.broker.stop();
  });
  controls.attach(setup);
  await setup.broker.start();
  await setup.server.start();
  const { broker, server } = setup;
  const waits = () => events.filter((event) => event.event === "notice" && event.text.includes("waits for the broker")).length;
  return {
    press: (key: "s" | "b") => controls.toggle(key === "s" ? "server" : "broker"),
    running: () => ({ broker: broker.running && !broker.starting, server: server.running && !server.starting }),
    /** Resolves when the storage server has begun to wait for the broker for the `count`th time. */
    waiting: (count: number) => until(() => waits() === count),
  };
}

test("the keys s, b, s, b stop storage server and broker and start both again", async () => {
  const { press, running, waiting } = await started();
  await press("s");
  await press("b");
  expect(running()).toEqual({ broker: false, server: false });
  const serving = press("s");
  await waiting(1);
  expect(running()).toEqual({ broker: false, server: false });
  await press("b");
  await serving;
  expect(running()).toEqual({ broker: true, server: true });
});

test("the key s stops a storage server that waits for the broker, and starts it again", async () => {
  const { press, running, waiting } = await started();
  await press("b");
  await press("s");
  const first = press("s");
  await waiting(1);
  await press("s");
  await first;
  const second = press("s");
  await waiting(2);
  await press("b");
  await second;
  expect(running()).toEqual({ broker: true, server: true });
});

test("keys that are pressed faster than their actions end lock nothing up", async () => {
  const { press, running } = await started();
  const presses = (["s", "b", "s", "b", "s", "b", "b"] as const).map((key) => press(key));
  await Promise.all(presses);
  const { broker, server } = running();
  if (!broker) await press("b");
  if (!server) await press("s");
  expect(running()).toEqual({ broker: true, server: true });
});
