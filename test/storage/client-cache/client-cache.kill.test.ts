import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { decodeValue } from "../../../core/index.js";
import { openCache } from "../../suites/client-cache.js";
import { historyKeys, positionAt, revisionAt } from "./cache-history.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();

test("after repeated kills with SIGKILL, the cache in LMDB contains all invalidations up to its position", async () => {
  const folder = await makeFolder();
  let entriesSeen = 0;
  for (let round = 1; round <= 4; round++) {
    const flushed = await killedAfter(folder, round, 20 + round * 7);
    const cache = await openCache({ open: () => openLmdbStore({ folder, durable: false, bootId: "boot" }) });
    const { position } = cache;
    expect(position.tid, `round ${round}`).toBeGreaterThanOrEqual(flushed);
    expect(position).toEqual(positionAt(position.tid));
    expect(cache.asOf).toEqual(positionAt(cache.asOf.tid));
    for (const key of historyKeys) {
      const found = cache.find(key, position.tid);
      if (found === undefined) continue;
      const { serial, value } = revisionAt(key, position.tid, position.tid);
      expect(found.serial, `${key} at ${position.tid}, round ${round}`).toBe(serial);
      expect(found.value).toEqual(value === undefined ? undefined : decodeValue(value).value);
      entriesSeen++;
    }
    await cache.close();
  }
  expect(entriesSeen).toBeGreaterThan(50);
  await killedAfter(folder, 5, 20);
  const cache = await openCache({ open: () => openLmdbStore({ folder, durable: false, bootId: "another boot" }) });
  expect(cache.isNew, "killed before a restart of the system").toBe(true);
  expect(cache.stats().entries).toBe(0);
  await cache.close();
});

/**
 * Starts a process that fills the cache and kills it after `lines` lines; resolves to the last position that it
 * printed.
 */
async function killedAfter(folder: string, seed: number, lines: number): Promise<number> {
  const program = join(import.meta.dirname, "write-client-cache.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, folder, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  let printed = 0;
  let last = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (++printed === lines) child.kill("SIGKILL");
  }
  expect(await gone, "the process ran until it was killed").toEqual([null, "SIGKILL"]);
  return last;
}
