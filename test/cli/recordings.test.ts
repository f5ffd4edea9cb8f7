import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createActor } from "xstate";
import { createActorSystem, openTransport } from "../../actors/index.js";
import { recordFrame } from "../../actors/record/frames.js";
import { Interrupted } from "../../cli/failure.js";
import { until } from "../support/until.js";
import { gateMachine, showGate } from "../actors/system/gate-machine.js";
import { openSetup } from "./setup.js";
import { zooid } from "./run-zooid.js";

let setup: Awaited<ReturnType<typeof openSetup>>;
let folder: string;
let there: readonly string[];

beforeAll(async () => {
  setup = await openSetup();
  folder = await mkdtemp(join(tmpdir(), "zooid-recordings-"));
  there = ["--servers", setup.url];
});
afterAll(async () => {
  await setup.close();
  await rm(folder, { recursive: true, force: true });
});

/** A recording of a gate that was opened and closed, ended by a signal. */
async function recorded(name: string) {
  const gate = createActor(gateMachine).start();
  const transport = await openTransport({ servers: setup.url });
  const system = createActorSystem({ realm: name, transport });
  system.register("north/gate", gate, { accepts: [], describe: showGate });
  await transport.flush();
  onTestFinished(async () => {
    system.close();
    gate.stop();
    await transport.close();
  });
  const path = join(folder, `${name}.zrec`);
  const controller = new AbortController();
  const isIn = new Promise<void>((resolve) => {
    transport.subscribe(`zooid.${name}.record.*`, ({ subject, payload }) => {
      const items = subject.endsWith(".ask") ? [] : recordFrame.read(payload).items;
      if (items.some((item) => item.type === "state" && item.value === "closed")) resolve();
    });
  });
  await transport.flush();
  const recording = zooid(["record", path, "--realm", name, ...there], controller.signal);
  await until(() => system.notes.isRecording);
  gate.send({ type: "OPEN" });
  gate.send({ type: "CLOSE" });
  await isIn;
  // The command gets the frame on another link, and then at least one empty frame a second.
  await until(async () => (await stat(path)).size > 0 && (await readFile(path)).includes("CLOSE"));
  controller.abort(new Interrupted("SIGINT"));
  const { lines, error } = await recording;
  expect(error).toBeUndefined();
  return { path, lines };
}

const withoutTime = (line: string) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} {2}/, "");

describe("zooid record and zooid replay", () => {
  test("record until a signal comes, and replay the lines of zooid watch without a broker", async () => {
    const { path, lines } = await recorded("park");
    expect(lines[0]).toMatch(/park\.zrec: \d+ entries of 1 system in .*B$/);
    const replayed = await zooid(["replay", path]);
    expect(replayed.error).toBeUndefined();
    expect(replayed.lines.map(withoutTime)).toEqual([
      "north/gate  is closed",
      "north/gate  closed -> open   OPEN / noteWho",
      "north/gate  open -> closed   CLOSE",
    ]);
    const { lines: model } = await zooid(["replay", path, "--model"]);
    expect(model.map((line) => line.split(/ {2,}/)).slice(0, 2)).toEqual([
      ["actor", "state", "events", "transitions"],
      ["north/gate", "closed", "2", "2"],
    ]);
    const { lines: json } = await zooid(["replay", path, "--model", "--json"]);
    expect(JSON.parse(json[0] ?? "")).toMatchObject({ instances: [{ actors: [{ path: "north/gate", value: "closed" }] }] });
  });

  test("refuse to replace a file, unless it is said", async () => {
    const path = join(folder, "there.zrec");
    await writeFile(path, "mine");
    const { error } = await zooid(["record", path, "--for", "10ms", ...there]);
    expect(error).toMatchObject({ code: "ZOOID_FILE", message: `${path} is there already: --overwrite replaces it` });
    expect(await readFile(path, "utf8")).toBe("mine");
    expect((await zooid(["record", path, "--for", "10ms", "--overwrite", ...there])).error).toBeUndefined();
    expect((await readFile(path)).subarray(0, 8).toString()).toBe("ZOOIDREC");
  });

  test("read a file that was cut off up to there, and a damaged one with an error at its end", async () => {
    const { path } = await recorded("garden");
    const bytes = await readFile(path);
    await truncate(path, bytes.length - 20);
    const cut = await zooid(["replay", path]);
    expect(cut.error).toBeUndefined();
    expect(cut.lines.length).toBeGreaterThan(0);
    expect(cut.said[0]).toMatch(/garden\.zrec is cut off at byte \d+: .*Everything before it was read$/);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const damaged = await zooid(["replay", path]);
    expect(damaged.error).toMatchObject({ code: "ZOOID_FILE", message: expect.stringMatching(/ is damaged at byte \d+: /) as string });
    expect(damaged.lines).toEqual(cut.lines);
  });

  test.runIf(existsSync("/dev/full"))("end with an error when the disk is full", async () => {
    const { error } = await zooid(["record", "/dev/full", "--overwrite", "--for", "3s", ...there]);
    expect(error).toMatchObject({ code: "ZOOID_FILE", message: expect.stringContaining("/dev/full: the disk is full, after ") as string });
  });

  test("say what is wrong with a file that is no recording, or that is not there", async () => {
    const path = join(folder, "text.zrec");
    await writeFile(path, "some text");
    expect((await zooid(["replay", path])).error).toMatchObject({ code: "ZOOID_FILE" });
    expect((await zooid(["replay", join(folder, "none.zrec")])).error).toMatchObject({
      code: "ZOOID_FILE",
      message: expect.stringMatching(/none\.zrec cannot be read: ENOENT$/) as string,
    });
  });
});

describe("zooid top without a terminal", () => {
  test.each(["0ms", "49ms", "30d"])("refuses an interval that a timer cannot keep: %s", async (interval) => {
    const { error } = await zooid(["top", "--once", "--interval", interval, ...there]);
    expect(error).toMatchObject({
      code: "commander.invalidArgument",
      message: expect.stringContaining("It must be from 50ms to 1d.") as string,
    });
  });

  test("prints one table, or one object", async () => {
    const asked = [zooid(["top", "--interval", "100ms", ...there]), zooid(["top", "--once", "--json", "--interval", "100ms", ...there])];
    const [table, json] = await Promise.all(asked);
    expect(table?.lines[0]).toMatch(/^zooid top .* realm zooid: 1 system, 2 machines$/);
    expect(table?.lines.slice(3).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ["actor", "state"],
      ["server/main/group-commit", "idle"],
      ["server/main/pruning", "idle"],
    ]);
    expect(JSON.parse(json?.lines[0] ?? "")).toMatchObject({
      realm: "zooid",
      systems: 1,
      commits: 0,
      actors: [{ path: "server/main/group-commit", state: "idle", context: { commits: 0 } }, { path: "server/main/pruning" }],
    });
  });
});
