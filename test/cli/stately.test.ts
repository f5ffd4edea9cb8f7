import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { until } from "../support/until.js";
import { freePorts } from "./free-ports.js";
import { zooid } from "./run-zooid.js";

const isListening = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

/** Runs the application of the actors' tests once something listens at `port`. */
async function startApplication(port: number): Promise<ChildProcess> {
  await until(() => isListening(port));
  const file = fileURLToPath(new URL("../actors/stately/application.mjs", import.meta.url));
  const application = spawn(process.execPath, [file, `ws://localhost:${port}`], { stdio: ["pipe", "inherit", "inherit"] });
  onTestFinished(() => void application.kill());
  return application;
}

const withoutTime = (line: string) => line.replace(/^\S+ +/, "").replaceAll(/ {2,}/g, "  ");

describe("zooid watch --inspector", () => {
  test("prints the transitions of an application with @statelyai/inspect, without a broker", async () => {
    const [port = 0] = await freePorts(1);
    const watching = zooid(["watch", "order", "--inspector", String(port), "--count", "8"]);
    await startApplication(port);
    const { lines, said, error } = await watching;
    expect(error).toBeUndefined();
    expect(lines.map(withoutTime)).toEqual([
      "order  is open",
      "order~2  is open",
      "order  open -> priced  BUY",
      "order#payment  is open",
      "order#payment  open -> paid  CHARGE",
      "order#payment  done",
      "order  priced -> paying  done: 0.order.priced from order#0.order.priced",
      "order  paying -> sent.letter | parcel.packed  done: payment from order#payment",
    ]);
    const address = `ws://127.0.0.1:${port}`;
    expect(said.slice(0, 1)).toEqual([`zooid: waits for applications: createWebSocketInspector({ url: "${address}" })`]);
    expect(await isListening(port)).toBe(false);
  });

  test("says once which origin was refused, and accepts it with --inspector-origins", async () => {
    const [port = 0] = await freePorts(1);
    const ending = new AbortController();
    const watching = zooid(
      ["watch", "--inspector", String(port), "--inspector-origins", "http://a.example,http://b.example:81"],
      ending.signal,
    );
    await until(() => isListening(port));
    const join = (origin: string) =>
      new Promise<boolean>((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}`, { origin });
        socket.once("open", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
    expect([await join("http://c.example"), await join("http://c.example")]).toEqual([false, false]);
    expect([await join("http://a.example"), await join("http://b.example:81")]).toEqual([true, true]);
    ending.abort(new Error("interrupted"));
    const { said } = await watching;
    expect(said.slice(1)).toEqual([
      "zooid: a page of http://c.example was refused: --inspector-origins http://c.example accepts it",
      "zooid: stately-1 is connected: http://a.example",
      "zooid: stately-2 is connected: http://b.example:81",
    ]);
  });

  test("refuses a port that is taken, and origins that are none", async () => {
    const [port = 0] = await freePorts(1);
    const ending = new AbortController();
    const watching = zooid(["watch", "--inspector", String(port)], ending.signal);
    await until(() => isListening(port));
    const { error } = await zooid(["watch", "--inspector", String(port)]);
    expect(error).toMatchObject({ code: "ZOOID_INVALID_OPTION", message: `option port ${port} of 127.0.0.1 is taken` });
    ending.abort(new Error("interrupted"));
    await watching;
    const wrong = await zooid(["watch", "--inspector", String(port), "--inspector-origins", "localhost:5173"]);
    expect((wrong.error as Error).message).toMatch(/"localhost:5173" is not an origin such as http:\/\/localhost:5173/);
  });
});

test("zooid record --inspector writes a file that zooid replay shows", async () => {
  const folder = mkdtempSync(join(tmpdir(), "zooid-stately-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "run.zrec");
  const [port = 0] = await freePorts(1);
  const ending = new AbortController();
  const recording = zooid(["record", file, "--inspector", String(port)], ending.signal);
  await startApplication(port);
  // The definitions of the machines alone take more.
  await until(() => statSync(file).size > 1_500);
  ending.abort(new Error("interrupted"));
  await recording;
  const { lines } = await zooid(["replay", file, "order"]);
  expect(lines.map(withoutTime)).toContain("order  is open");
});
