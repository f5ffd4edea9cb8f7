import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { DiskEntryStore } from "../../../storage/results/disk-entries.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { silentLog, systemClock } from "../../../core/index.js";
import { epoch, staleSince } from "./entry-history.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();

test("after repeated kills with SIGKILL, results in LMDB reflect all invalidations up to their position, and no flushed invalidation is missing", async () => {
  const folder = await makeFolder();
  let entriesSeen = 0;
  for (let round = 1; round <= 5; round++) {
    const [sequence, queued] = await killedAfter(folder, 10 + round * 9);
    const store = await DiskEntryStore.open({
      name: "test",
      countedBy: "bus",
      open: () => openLmdbStore({ folder, durable: false, bootId: "boot" }),
      clock: systemClock,
      log: silentLog,
    });
    const { position } = store;
    expect(position?.epoch).toBe(epoch);
    expect(position?.sequence).toBeGreaterThanOrEqual(sequence);
    expect(store.queued().length).toBeGreaterThanOrEqual(queued);
    expect(store.queued().map(({ id }) => id)).toEqual(store.queued().map((_, index) => `q${index + 1}`));
    const wrong: string[] = [];
    for (const key of [...store.keys()]) {
      const entry = store.get(key);
      if (entry === undefined) continue;
      entriesSeen++;
      const { computedAt } = entry.value as { computedAt: number };
      if (computedAt < staleSince(key, position?.sequence ?? 0)) wrong.push(`${key} computed at ${computedAt}, round ${round}`);
    }
    expect(wrong).toEqual([]);
    await store.close();
  }
  expect(entriesSeen).toBeGreaterThan(200);
});

/** Starts a process that fills the tier and kills it after `lines` lines; resolves to the last printed line. */
async function killedAfter(folder: string, lines: number): Promise<readonly [sequence: number, queued: number]> {
  const program = join(import.meta.dirname, "write-entries.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  let printed = 0;
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    if (++printed === lines) child.kill("SIGKILL");
  }
  expect(await gone, "the process ran until it was killed").toEqual([null, "SIGKILL"]);
  const [sequence = "", queued = ""] = last.split(" ");
  return [Number(sequence), Number(queued)];
}
