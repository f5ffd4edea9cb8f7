import { join } from "node:path";
import { expect, test } from "vitest";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import { temporaryFolders } from "../../support/temporary-folder.js";
import { timings } from "../objects/world.js";
import { flat } from "./record-checker.js";
import { RecordWorld } from "./record-world.js";
import { SimulatedHost } from "./simulated-host.js";
import { SimulatedWatcher } from "./simulated-watcher.js";
import { StoreClient, StoreServer } from "./store-tenants.js";
import { difference, pictureIn, pictureOf } from "./truth.js";
import { readRecordingFile, RecordingFile } from "../../../cli/recording-file.js";
import { applyEntry, emptyModel, type RecordModel } from "../../../actors/record/model.js";

const folder = temporaryFolders();

test("the recording of clients that move from a killed server to another one replays to the identical model", async () => {
  const world = new RecordWorld(1);
  const { clock } = world;
  const disk = new SimulatedDisk({ name: "disk", clock, random: world.random() });
  const [first, second] = ["s1", "s2"].map((name) => new SimulatedHost(world, name, (place) => new StoreServer(world, disk, place)));
  const clients = ["c1", "c2"].map((name) => new SimulatedHost(world, name, (place) => new StoreClient(world, place)));
  const early = new SimulatedWatcher(world, "early");
  const late = new SimulatedWatcher(world, "late");
  first?.open();
  for (const client of clients) client.open();
  early.open();
  await clock.advance(4_000);
  const connectionOf = (watcher: SimulatedWatcher, client: string) =>
    [...(watcher.model?.instances.values() ?? [])]
      .flatMap(({ actors }) => [...actors.values()])
      .find(({ path }) => path === `client/${client}/connection`);
  const before = connectionOf(early, "c1");
  const serverBefore = before?.shown["instance"];
  const committedBefore = early.model?.counts.commits ?? 0;
  expect(committedBefore).toBeGreaterThan(3);
  first?.kill();
  await clock.advance(timings.heartbeatTimeoutMs + 500);
  expect(JSON.stringify(connectionOf(early, "c1")?.value)).not.toContain("connected");
  late.open();
  second?.open();
  await clock.advance(5_000);
  world.isQuiet = true;
  await clock.advance(3_000);

  for (const watcher of [early, late]) {
    expect(connectionOf(watcher, "c1")).toMatchObject({ status: "active", value: { attached: { linked: { connected: "readWrite" } } } });
    expect(connectionOf(watcher, "c1")?.shown["instance"]).not.toBe(serverBefore);
    for (const process of [second, ...clients].map((host) => host?.process)) {
      const found = watcher.model?.instances.get(process?.instance ?? "");
      expect(found?.state).toBe("live");
      const expected = pictureOf(process?.roots ?? new Map(), { hasFacts: false });
      expect(expected.length).toBeGreaterThan(0);
      expect(difference(expected, pictureIn(found?.actors ?? new Map(), { hasFacts: false }))).toEqual({ missing: [], extra: [] });
    }
    const replayed = emptyModel();
    for (const entry of watcher.entries) applyEntry(replayed, entry);
    expect(flat(replayed)).toBe(flat(watcher.model ?? emptyModel()));
    expect(flat(await throughFile(watcher))).toBe(flat(replayed));
  }
  expect([...(early.model?.instances.values() ?? [])].map(({ state }) => state).toSorted()).toEqual(["live", "live", "live", "lost"]);
  expect(early.model?.counts.commits).toBeGreaterThan(committedBefore + 3);
  expect(world.checker.violations).toEqual([]);
  for (const host of [second, ...clients]) host?.kill();
});

/** The model that the file of `zooid record` gives to `zooid replay`. */
async function throughFile({ name, entries }: SimulatedWatcher): Promise<RecordModel> {
  const path = join(await folder(), `${name}.zrec`);
  const file = await RecordingFile.create(path, { realm: "sim", startedAt: 0 }, { overwrite: false, bytesMax: Infinity });
  for (const entry of entries) file.add(entry);
  await file.end();
  const model = emptyModel();
  for await (const part of readRecordingFile(path)) if (part.type === "entry") applyEntry(model, part.entry);
  return model;
}
