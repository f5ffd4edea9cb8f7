import { execFile } from "node:child_process";
import { mkdir, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { openLmdbStore } from "../../storage/lmdb-store.js";
import { InUseError, StoreError } from "../../words/index.js";
import { orderedStoreSuite } from "../suites/ordered-store.js";
import { temporaryFolders } from "./temporary-folder.js";

const makeFolder = temporaryFolders();

orderedStoreSuite("in LMDB", async () => {
  const folder = join(await makeFolder(), "a.new", "folder");
  return () => openLmdbStore({ folder });
});
orderedStoreSuite("in LMDB without syncs", async () => {
  const folder = await makeFolder();
  return () => openLmdbStore({ folder, durable: false });
});

describe("a folder", () => {
  test("in use by another process is refused with its name, and free when that process is gone", async () => {
    const folder = await makeFolder();
    const store = await openLmdbStore({ folder });
    const child = await openInChild(folder);
    expect(child).toMatchObject({ name: InUseError.name, folder });
    await store.close();
    expect(await openInChild(folder)).toEqual({ opened: true });
    await (await openLmdbStore({ folder })).close();
  });

  test("that cannot be made, or is a file, is a StoreError that names it", async () => {
    const file = join(await makeFolder(), "file");
    await writeFile(file, "text");
    for (const folder of [file, join(file, "below")]) {
      const error = await openLmdbStore({ folder }).catch((refused: unknown) => refused);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ facts: { folder } });
    }
  });

  test("whose file is of something else is a StoreError, and is left as it was", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "data.mdb"), Buffer.alloc(20_000, "not a store "));
    await expect(openLmdbStore({ folder })).rejects.toThrow(StoreError);
    expect((await stat(join(folder, "data.mdb"))).size).toBe(20_000);
    await expect(openLmdbStore({ folder }), "the lock was given back").rejects.toThrow(StoreError);
  });

  test("whose file was cut short is a StoreError, not the end of the process", async () => {
    const folder = await makeFolder();
    const store = await openLmdbStore({ folder });
    await store.batch(Array.from({ length: 2_000 }, (_, n) => ({ key: Buffer.from(`k${n}`), value: Buffer.alloc(500) })));
    await store.close();
    const file = join(folder, "data.mdb");
    await truncate(file, Math.floor((await stat(file)).size / 2));
    await expect(openLmdbStore({ folder })).rejects.toThrow(/corrupted/);
  });

  test("with a dot in its name is a folder", async () => {
    const folder = join(await makeFolder(), "cache.v1");
    await mkdir(folder);
    await (await openLmdbStore({ folder })).close();
    expect(await readdir(folder)).toContain("data.mdb");
  });
});

/** Opens `folder` in another process, which then ends without closing it. */
async function openInChild(folder: string): Promise<unknown> {
  const child = join(import.meta.dirname, "open-folder.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, folder]);
  return JSON.parse(stdout) as unknown;
}
