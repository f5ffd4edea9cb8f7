import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";
import { createActor } from "xstate";
import { applyEntry, createActorSystem, emptyModel, type RecordEntry, type RecordModel, summaryOf } from "../../actors/index.js";
import { recordFrame, recordQuestion } from "../../actors/record/frames.js";
import { readRecordingFile, RecordingFile } from "../../cli/recording-file.js";
import { systemClock } from "../../core/index.js";
import { connectNats, type Transport } from "../../transport/index.js";
import { gateMachine } from "../actors/system/gate-machine.js";
import { flat } from "../simulation/record/record-checker.js";
import { built } from "../support/built.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { temporaryFolders } from "../support/temporary-folder.js";
import { until } from "../support/until.js";

const folder = temporaryFolders();
const children = new Set<ChildProcess>();
let server: NatsServer;
let transport: Transport;

beforeAll(async () => {
  server = await startNatsServer();
  transport = await connectNats({ servers: server.url });
});
afterEach(async () => {
  await Promise.all(Array.from(children, (child) => killed(child)));
});
afterAll(async () => {
  await transport.close();
  await server.stop();
});

/** Starts a process. Resolves with its first line. */
function started(words: readonly string[]) {
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "ignore"] });
  children.add(child);
  return { child, line: once(child.stdout, "data") };
}

async function killed(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  children.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

/** Calls `watch`, and resolves when its watcher has asked for the actors of `realm`: then it misses no frame. */
async function watching<T>(realm: string, watch: () => T): Promise<T> {
  const asked = new Promise<void>((resolve) => {
    const asking = transport.subscribe(`zooid.${realm}.record.ask`, ({ payload }) => {
      if (recordQuestion.read(payload).type !== "snapshot") return;
      asking.unsubscribe();
      resolve();
    });
  });
  await transport.flush();
  const watcher = watch();
  await asked;
  return watcher;
}

function recorder(path: string, realm: string): Promise<ChildProcess> {
  return watching(realm, () => started([built("cli/zooid.js"), "record", path, "--realm", realm, "--servers", server.url]).child);
}

async function entriesIn(path: string) {
  const entries: RecordEntry[] = [];
  let end: string | undefined;
  for await (const part of readRecordingFile(path)) {
    if (part.type === "entry") entries.push(part.entry);
    else if (part.type !== "info") end = part.type;
  }
  return { entries, end };
}

function modelOf(entries: readonly RecordEntry[]): RecordModel {
  const model = emptyModel();
  for (const entry of entries) applyEntry(model, entry);
  return model;
}

/** The last frame of each instance. */
function lastFrames(entries: readonly RecordEntry[]): ReadonlyMap<string, number> {
  return new Map(entries.flatMap((entry) => (entry.type === "frame" ? [[entry.frame.instance, entry.frame.number] as const] : [])));
}

/** The model of the frames that both watchers have, without the order and the times of their arrival. */
function sharedPart(entries: readonly RecordEntry[], others: readonly RecordEntry[]) {
  const [ours, theirs] = [lastFrames(entries), lastFrames(others)];
  const isShared = (entry: RecordEntry) =>
    entry.type === "frame" && entry.frame.number <= Math.min(ours.get(entry.frame.instance) ?? -1, theirs.get(entry.frame.instance) ?? -1);
  const { instances, machines, transitions, commits, counts } = summaryOf(modelOf(entries.filter(isShared)));
  const text = (value: object) => JSON.stringify(value);
  return {
    counts,
    machines,
    instances: instances.map(({ heardAt: _, ...instance }) => instance),
    transitions: transitions.map(text).toSorted(),
    commits: commits
      .map(({ places, ...trail }) =>
        text({ ...trail, places: Object.entries(places).toSorted(([one], [other]) => (one < other ? -1 : 1)) }),
      )
      .toSorted(),
  };
}

test("the recording of a server that is killed and started again replays to the model of a watcher, and so does that of another process", async () => {
  const [data, recordings] = [await folder(), await folder()];
  const system = createActorSystem({ realm: "zooid", transport });
  const [ownPath, otherPath] = ["own", "other"].map((name) => join(recordings, `${name}.zrec`)) as [string, string];
  const options = { overwrite: false, bytesMax: Infinity };
  const own = await RecordingFile.create(ownPath, { realm: "zooid", startedAt: Math.floor(systemClock.now()) }, options);
  const model = emptyModel();
  const recording = await recorder(otherPath, "zooid");
  const stop = await watching("zooid", () =>
    system.watchRecord((entry) => {
      own.add(entry);
      applyEntry(model, entry);
    }),
  );
  onTestFinished(() => {
    stop();
    system.close();
  });
  // Watchers ask for new instances every 5 s. This asks sooner, so that both have all frames of each instance.
  const asking = setInterval(
    () => transport.publish("zooid.zooid.record.ask", recordQuestion.write({ type: "watch", watcher: "test" })),
    50,
  );
  onTestFinished(() => clearInterval(asking));
  const words = [built("cli/zooid.js"), "serve", "--json", "--servers", server.url, "--data", data, "--heartbeat-interval", "200ms"];
  const program = join(import.meta.dirname, "committing-client.ts");
  const first = started(words);
  const clients = ["c1", "c2"].map((name) => started(["--import", "tsx", program, server.url, name]));
  await Promise.all([first, ...clients].map(({ line }) => line));
  const actor = (path: string) =>
    [...model.instances.values()].flatMap(({ actors }) => [...actors.values()]).find((each) => each.path === path);
  const connection = (name: string) => actor(`client/${name}/connection`);
  const hasCommitted = (by: string, after: number) => [...model.commits].some((each) => each.by === by && (each.number ?? 0) > after);
  const isShown = (systems: number) =>
    model.instances.size === systems && [...model.instances.values()].every(({ state }) => state === "live" || state === "lost");
  const tid = () => Math.max(0, ...Array.from(model.commits, ({ number = 0 }) => number));
  const bothCommit = (after: number) => ["client/c1", "client/c2"].every((by) => hasCommitted(by, after));

  await until(() => bothCommit(0));

  await killed(first.child);
  await until(() => ["c1", "c2"].every((name) => !JSON.stringify(connection(name)?.value).includes("connected")));

  const before = tid();
  await started(words).line;
  await until(() => bothCommit(before) && isShown(4));

  stop();
  await own.end();
  await killed(recording, "SIGINT");

  const [ours, theirs] = [await entriesIn(ownPath), await entriesIn(otherPath)];
  expect([ours.end, theirs.end]).toEqual(["end", "end"]);
  expect(flat(modelOf(ours.entries))).toBe(flat(model));
  // Two servers, two clients: the killed server is one of them.
  expect(model.instances.size).toBe(4);
  const shared = sharedPart(ours.entries, theirs.entries);
  expect(shared.instances.map(({ actors }) => actors.length > 0)).toEqual([true, true, true, true]);
  expect(shared.commits.length).toBeGreaterThan(3);
  expect(sharedPart(theirs.entries, ours.entries)).toEqual(shared);
});

test("a recorder that is killed loses at most one second", async () => {
  const path = join(await folder(), "killed.zrec");
  const gate = createActor(gateMachine).start();
  const system = createActorSystem({ realm: "park", transport });
  system.register("gate", gate, { accepts: [] });
  onTestFinished(() => system.close());
  /** When this process has heard each frame. */
  const heard: { readonly number: number; readonly atMs: number }[] = [];
  const frames = transport.subscribe("zooid.park.record.*", ({ subject, payload }) => {
    if (!subject.endsWith(".ask")) heard.push({ number: recordFrame.read(payload).number, atMs: systemClock.monotonic() });
  });
  onTestFinished(() => frames.unsubscribe());
  const recording = await recorder(path, "park");
  const beganMs = systemClock.monotonic();
  const changing = setInterval(() => gate.send({ type: gate.getSnapshot().value === "open" ? "CLOSE" : "OPEN" }), 10);
  await until(() => systemClock.monotonic() - beganMs > 2_000);
  clearInterval(changing);
  const killedMs = systemClock.monotonic();
  await killed(recording);
  const { entries, end } = await entriesIn(path);
  expect(end).toBe("damage");
  const [last = -1] = lastFrames(entries).values();
  const sure = heard.filter(({ atMs }) => atMs < killedMs - 1_000).at(-1)?.number ?? Infinity;
  expect(sure).toBeGreaterThan(5);
  expect(last).toBeGreaterThanOrEqual(sure);
});
