import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { requireNatsServer } from "../../scripts/nats-server.mjs";
import { temporaryFolders } from "../support/temporary-folder.js";
import { expectPlayed, expectStoppedInOrder } from "../cli/played.js";
import { expectAnyOrder, openSockets } from "../cli/any-order.js";
import { runZooid } from "../cli/run-zooid.js";
import { type Event, isAlive, startUp } from "./running-up.js";

const folder = temporaryFolders();
/** Long, since five processes start twice, on a machine that may be busy. */
const timeoutMs = 180_000;
/** A parent watchdog ends at once; the process that it guards has three seconds to close. */
const goneTimeoutMs = 10_000;

describe("npm start with a nats-server", () => {
  test(
    "plays the scenario; SIGKILL leaves no process behind; the next run finds the cities stored, and Ctrl-C ends it in order",
    async () => {
      vi.stubEnv("NATS_SERVER", requireNatsServer());
      const data = await folder();
      const first = await startUp(["--data", data, "--cities", "2000"]);
      expect(await first.event("part", ({ part }) => part === "broker")).toMatchObject({
        detail: expect.stringContaining("nats-server at nats://") as string,
      });
      expect(await first.event("import", ({ state }) => state === "done")).toMatchObject({ rows: 2_000, of: 2_000 });
      const city = await expectPlayed(first);
      await expectSteered(await first.event("ready"), city);
      const pids = first.descendants();
      // The broker's parent watchdog and nats-server, the storage server, two services, and any processes that Node has
      // started for them.
      expect(pids.length).toBeGreaterThanOrEqual(5);
      first.signal("SIGKILL");
      await first.ended;
      await expect.poll(() => pids.filter(isAlive), { timeout: goneTimeoutMs }).toEqual([]);

      const second = await startUp(["--data", data, "--cities", "2000"]);
      expect(await second.event("import", ({ state }) => state === "done")).toMatchObject({ rows: 0, of: 2_000 });
      await second.event("scenario");
      await expectAnyOrder(second);
      const sockets = await openSockets(second);
      const third = await startUp(["--data", data, "--cities", "0"]);
      const { code, err } = await third.ended;
      expect(code).toBe(1);
      expect((JSON.parse(err) as { error: unknown }).error).toEqual({
        code: "ZOOID_IN_USE",
        // All parts start at once, and the error names the part that ends first.
        message: expect.stringMatching(/^(?:storage server|service [AB]) .* in use .*--data$/) as string,
        transient: false,
        facts: { part: expect.any(String) as string },
      });
      second.signal("SIGINT");
      expect(await second.ended).toEqual({ code: 0, signal: null, err: "" });
      for (const socket of sockets) socket.destroy();
      expectStoppedInOrder(second);
      vi.unstubAllEnvs();
    },
    timeoutMs,
  );

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)(
    "%s while a part is not ready ends it without waiting for the part, and no process is left",
    async (signal, code) => {
      const mute = join(await folder(), "nats-server");
      await writeFile(mute, "#!/bin/sh\nexec sleep 600\n", { mode: 0o700 });
      vi.stubEnv("NATS_SERVER", mute);
      const up = await startUp(["--data", await folder(), "--cities", "0"]);
      vi.unstubAllEnvs();
      // The parent watchdog of the broker, and the broker itself.
      await expect.poll(() => up.descendants().length, { timeout: 60_000 }).toBeGreaterThanOrEqual(2);
      const pids = up.descendants();
      up.signal(signal);
      expect(await up.ended).toEqual({ code, signal: null, err: "" });
      expect(up.events.map(({ event }) => event)).toEqual(["stopping", "stopped"]);
      await expect.poll(() => pids.filter(isAlive), { timeout: goneTimeoutMs }).toEqual([]);
    },
    timeoutMs,
  );
});

/** A keeps the figures of a country among its results until the command line invalidates them. */
async function expectSteered({ servers, services }: Event<"ready">, city: string): Promise<void> {
  const country = city.split("/")[1] ?? "";
  const figures = async () => (await (await fetch(`${services["A"]}/figures/${country}`)).json()) as { readonly from: string };
  const there = ["--servers", servers, "--wait", "2s"];
  const kept = async () => {
    const { out, err } = await runZooid(["cache", "keys", "figures", "--node", "A", "--json", ...there]);
    expect(err).toBe("");
    return out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as unknown);
  };
  await figures();
  expect(await figures()).toMatchObject({ from: "cache" });
  expect(await kept()).toMatchObject([{ node: "A", tier: "memory", key: `figures("${country}")`, tags: [`figures:${country}`] }]);
  const invalidated = await runZooid(["cache", "invalidate", `figures:${country}`, "--node", "B", ...there]);
  expect(invalidated).toMatchObject({ code: 0, err: "", out: "node  outcome\nB     published\n" });
  await expect.poll(kept).toEqual([]);
  expect(await figures()).toMatchObject({ from: "computed" });
}
