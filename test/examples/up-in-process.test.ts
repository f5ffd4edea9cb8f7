import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../support/temporary-folder.js";
import { expectPlayed, expectStoppedInOrder } from "../cli/played.js";
import { expectAnyOrder, openSockets } from "../cli/any-order.js";
import { startUp } from "./running-up.js";
import { runExample, runZooid } from "../cli/run-zooid.js";

const folder = temporaryFolders();
/** It starts in two seconds on an idle machine. */
const timeoutMs = 120_000;

describe("npm start without a nats-server", () => {
  test(
    "becomes ready, plays the scenario, takes commands and connections on its port, and ends in order",
    async () => {
      const up = await startUp(["--data", await folder(), "--cities", "2000", "--broker", "in-process"]);
      const missing = await up.event("notice");
      expect(missing.text).toMatch(
        /^no nats-server was found: all parts run in this process, and processes of this machine can join at ws:/,
      );
      const ready = await up.event("ready");
      expect(await up.event("import", ({ state }) => state === "done")).toMatchObject({ rows: 2_000, of: 2_000 });
      await expectPlayed(up);

      const stats = await runZooid(["cache", "stats", "--json", "--servers", ready.servers, "--wait", "3s"]);
      expect(
        stats.out
          .split("\n")
          .slice(0, 2)
          .map((line) => JSON.parse(line) as unknown),
      ).toMatchObject([
        { node: "A", bus: "nats", stats: { isInTouch: true } },
        { node: "B", bus: "nats", stats: { entries: 0 } },
      ]);

      const got = await runZooid(["list", "city/AD/", "--limit", "1", "--servers", ready.servers]);
      expect(got.out).toMatch(/^city\/AD\//);

      const post = async (path: string): Promise<unknown> => (await fetch(`${up.control}${path}`, { method: "POST" })).json();
      expect(await post("/broker/stop")).toMatchObject({ running: { broker: false }, connection: { A: "disconnected" } });
      expect(await post("/broker/start")).toMatchObject({ running: { broker: true }, connection: { A: "readWrite", B: "readWrite" } });
      expect(await (await fetch(`${up.control}/machines`)).text()).toContain("client/A/connection attached.linked.connected.readWrite\n");
      expect(await (await fetch(`${up.control}/machines/connection?of=A`)).text()).toContain(
        "class attached__linked__connected__readWrite current",
      );

      expect(up.descendants()).toEqual([]);
      expect(await post("/quit")).toEqual({ stopping: true });
      expect(await up.ended).toEqual({ code: 0, signal: null, err: "" });
      expectStoppedInOrder(up);
    },
    timeoutMs,
  );

  test(
    "the printed commands for trying it by hand work",
    async () => {
      const up = await startUp(["--data", await folder(), "--cities", "100", "--broker", "in-process"]);
      const { commands } = await up.event("byHand");
      const answers: string[] = [];
      for (const command of commands) answers.push((await promisify(execFile)("sh", ["-c", command])).stdout);
      const [before, figures, change, after, changed, , cutOff, , state, status, drawing, bus, keys, invalidated, computedAgain] = answers;
      expect(JSON.parse(before ?? "")).toMatchObject({ from: "cache", connected: true });
      expect(JSON.parse(change ?? "")).toMatchObject({ city: { note: "by hand" } });
      expect(JSON.parse(after ?? "")).toMatchObject({ from: "server", city: { note: "by hand" } });
      expect(JSON.parse(figures ?? "")).toMatchObject({ from: "computed", noted: 1 });
      expect(JSON.parse(changed ?? "")).toMatchObject({ from: "computed", noted: 1 });
      expect(JSON.parse(cutOff ?? "")).toMatchObject({ from: "cache", connected: false, city: { note: "by hand" } });
      expect(JSON.parse(state ?? "")).toMatchObject({ client: "A", state: "readWrite" });
      expect(status).toMatch(/^client\/A\/connection +attached\.linked\.connected\.readWrite$/m);
      expect(status).toMatch(/^cache\/A\/bus +following\.resting$/m);
      expect(drawing).toContain("class attached__linked__connected__readWrite current");
      expect(bus).toContain("class following__resting current");
      expect(keys).toMatch(/^A .*figures\("/m);
      expect(invalidated).toMatch(/^A +published$/m);
      expect(JSON.parse(computedAgain ?? "")).toMatchObject({ from: "computed" });
      up.signal("SIGTERM");
      expect(await up.ended).toMatchObject({ code: 0 });
    },
    timeoutMs,
  );

  test(
    "its port serves this machine only",
    async () => {
      const up = await startUp(["--data", await folder(), "--cities", "0", "--broker", "in-process"]);
      await up.event("ready");
      const headers = { origin: "http://elsewhere.example" };
      expect((await fetch(`${up.control}/quit`, { method: "POST", headers })).status).toBe(403);
      expect((await fetch(`${up.control}/status`)).status).toBe(200);
      up.signal("SIGINT");
      expect(await up.ended).toMatchObject({ code: 0 });
    },
    timeoutMs,
  );

  test(
    "storage server and broker can be stopped and started in any order, and open sockets do not prevent its end",
    async () => {
      const data = await folder();
      const up = await startUp(["--data", data, "--cities", "0", "--broker", "in-process"]);
      await up.event("ready");
      await expectAnyOrder(up);
      const sockets = await openSockets(up);
      const second = await startUp(["--data", data, "--cities", "0", "--broker", "in-process"]);
      const { code, err } = await second.ended;
      const message = `storage server cannot be started: ${data}/objects/main is in use already, by this process or another: choose another folder with --data`;
      expect({ code, error: JSON.parse(err) as unknown }).toMatchObject({ code: 1, error: { error: { code: "ZOOID_IN_USE", message } } });
      up.signal("SIGTERM");
      expect(await up.ended).toEqual({ code: 0, signal: null, err: "" });
      for (const socket of sockets) socket.destroy();
    },
    timeoutMs,
  );

  test(
    "Ctrl-C during the start ends it, and no process is left",
    async () => {
      const up = await startUp(["--data", await folder(), "--broker", "in-process"]);
      await up.event("part", ({ part }) => part === "storage server");
      up.signal("SIGINT");
      expect(await up.ended).toEqual({ code: 130, signal: null, err: "" });
      expect(up.events.at(-1)).toMatchObject({ event: "stopped" });
    },
    timeoutMs,
  );

  test("an occupied port is an error that names the port and the option that chooses another", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const data = await folder();
    const control = await runExample(["--data", data, "--broker", "in-process", "--control-port", String(port)]);
    expect(control).toMatchObject({
      code: 1,
      err: `cities: port ${port} is taken, perhaps by another \`npm start\`: choose another with \`npm start -- --control-port 5280\` (ZOOID_PORT_TAKEN)\n`,
    });
    const up = await startUp(["--data", data, "--broker", "in-process", "--service-ports", `${port},${port - 1}`]);
    const { code, err } = await up.ended;
    expect({ code, error: JSON.parse(err) as unknown }).toMatchObject({
      code: 1,
      error: { error: { code: "ZOOID_PORT_TAKEN", facts: { port, option: "--service-ports" } } },
    });
    taken.close();
  });
});
