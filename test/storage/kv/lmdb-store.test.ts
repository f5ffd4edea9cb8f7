import { execFile } from "node:child_process";
import { chmod, cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, test } from "vitest";
import { bootId } from "../../../storage/kv/boot-id.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import type { OrderedStore } from "../../../storage/kv/ordered-store.js";
import { InUseError, StoreError, systemClock } from "../../../core/index.js";
import { keptLog } from "../../suites/client-cache.js";
import { orderedStoreSuite } from "../../../testing/suites/ordered-store.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();

orderedStoreSuite("in LMDB", async () => {
  const folder = join(await makeFolder(), "a.new", "folder");
  return () => openLmdbStore({ folder });
});
orderedStoreSuite("in LMDB without syncs", async () => {
  const folder = await makeFolder();
  return () => openLmdbStore({ folder, durable: false, bootId: "boot-id-1" });
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

  test.each([{ durable: true }, { durable: false, bootId: "boot-id-1" }] as const)(
    "and its files are for their owner alone: %j",
    async (kind) => {
      const folder = join(await makeFolder(), "above", "folder");
      await (await openLmdbStore({ folder, ...kind })).close();
      const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
      for (const each of [folder, join(folder, "..")]) expect(await modeOf(each), each).toBe(0o700);
      const files = await readdir(folder);
      expect(files).toEqual(expect.arrayContaining(["data.mdb", "lock.mdb", "owner.lock"]));
      for (const file of files) expect(await modeOf(join(folder, file)), file).toBe(0o600);
    },
  );

  test("that other users can access keeps its modes, is used, and causes one warning at opening; access of the group causes none", async () => {
    const folder = await makeFolder();
    const path = (name: string) => join(folder, name);
    const warned = async (modes: Readonly<Record<string, number>>) => {
      for (const [name, mode] of Object.entries(modes)) await chmod(path(name), mode);
      const { log, lines } = keptLog();
      await (await openLmdbStore({ folder, log })).close();
      for (const [name, mode] of Object.entries(modes)) expect((await stat(path(name))).mode & 0o777, name).toBe(mode);
      return lines.map((line) => line.slice(0, line.indexOf(";")));
    };
    expect(await warned({})).toEqual([]);
    expect(await warned({ "data.mdb": 0o644 }), "files in a folder that others cannot enter").toEqual([]);
    expect(await warned({ "data.mdb": 0o660, ".": 0o775 }), "the group").toEqual([]);
    const warning = "other users of this system can access the files of this folder";
    expect(await warned({ "data.mdb": 0o644, "lock.mdb": 0o644, ".": 0o755 })).toEqual([warning]);
    expect(await warned({ "data.mdb": 0o600, "lock.mdb": 0o600 })).toEqual([]);
    expect(await warned({ "owner.lock": 0o604 }), "others can hold the lock").toEqual([warning]);
    expect(await warned({ "owner.lock": 0o600, ".": 0o777 }), "files can be replaced").toEqual([warning]);
  });

  test("has a lock file without holes, which LMDB maps: a new one, and one with holes from an earlier process", async () => {
    const folder = await makeFolder();
    const lock = join(folder, "lock.mdb");
    const isWhole = async () => {
      const { size, blocks } = await stat(lock);
      return size > 0 && blocks * 512 >= size;
    };
    const store = await openLmdbStore({ folder });
    await fill(store);
    expect(await isWhole()).toBe(true);
    await store.close();
    await truncate(lock, 0);
    await truncate(lock, 8_272);
    const again = await openLmdbStore({ folder });
    expect(await isWhole()).toBe(true);
    expect(again.read((view) => [...view.range({ from: Buffer.of(0), to: Buffer.of(255) })].length)).toBeGreaterThan(0);
    await again.close();
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

  test("whose file is not a store is a StoreError, and is left unchanged", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "data.mdb"), Buffer.alloc(20_000, "not a store "));
    await expect(openLmdbStore({ folder })).rejects.toThrow(StoreError);
    expect((await stat(join(folder, "data.mdb"))).size).toBe(20_000);
    await expect(openLmdbStore({ folder }), "the lock was given back").rejects.toThrow(StoreError);
  });

  test("whose file was cut short is a StoreError and does not end the process", async () => {
    const folder = await makeFolder();
    const store = await openLmdbStore({ folder });
    await fill(store);
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

describe("a folder without syncs", () => {
  const { lines, log } = keptLog();
  const open = (folder: string, bootId: string) => openLmdbStore({ folder, durable: false, bootId, log });
  const mark = (folder: string) => readFile(join(folder, "boot"), "utf8");
  beforeEach(() => {
    lines.length = 0;
  });

  /** A copy of `folder` while it is open: the best state that a crash can leave. */
  async function leftOpen(folder: string): Promise<string> {
    const copied = await makeFolder();
    await cp(folder, copied, { recursive: true });
    return copied;
  }

  /** A folder with a store left open by `boot-id-1`. */
  async function crashed(): Promise<string> {
    const folder = await makeFolder();
    const store = await open(folder, "boot-id-1");
    await fill(store);
    const copied = await leftOpen(folder);
    await store.close();
    return copied;
  }

  test("has the id of this start of the system by default", async () => {
    const folder = await makeFolder();
    const store = await openLmdbStore({ folder, durable: false });
    expect(await mark(folder)).toBe(bootId(systemClock));
    await store.close();
  });

  test("left open is unchanged in the same start of the system; in another start it is empty, and this is logged", async () => {
    const folder = await crashed();
    const other = await leftOpen(folder);
    const same = await open(folder, "boot-id-1");
    expect(count(same)).toBe(2_000);
    await same.close();
    expect(lines).toEqual([]);
    const anew = await open(other, "boot-id-2");
    expect(count(anew)).toBe(0);
    expect(lines).toEqual(["store discarded at opening"]);
    await fill(anew);
    await anew.close();
    await (await open(other, "boot-id-2")).close();
    expect(lines).toHaveLength(1);
  });

  test("that was closed is unchanged after any number of other starts", async () => {
    const folder = await crashed();
    for (const boot of ["boot-id-1", "boot-id-2", "boot-id-3"]) {
      const store = await open(folder, boot);
      expect(count(store)).toBe(2_000);
      await store.close();
    }
    expect(lines).toEqual([]);
  });

  test("that was closed and opened again counts as open before anything is written", async () => {
    const folder = await crashed();
    await (await open(folder, "boot-id-1")).close();
    const store = await open(folder, "boot-id-2");
    expect(await mark(folder)).toBe("boot-id-2");
    const again = await open(await leftOpen(folder), "boot-id-3");
    expect(count(again)).toBe(0);
    await Promise.all([store.close(), again.close()]);
    expect(await mark(folder)).toBe("closed");
  });

  test("left open with pages that were never written is empty, and LMDB does not see them", async () => {
    const folder = await crashed();
    const { size } = await stat(join(folder, "data.mdb"));
    const file = await readFile(join(folder, "data.mdb"));
    await writeFile(join(folder, "data.mdb"), Buffer.concat([file.subarray(0, 8_192), Buffer.alloc(size - 8_192, 0xff)]));
    const store = await open(folder, "boot-id-2");
    expect(count(store)).toBe(0);
    await store.close();
  });

  test("whose mark is torn counts as left open", async () => {
    for (const torn of ["", "boot", "closedid-1"]) {
      const folder = await crashed();
      await writeFile(join(folder, "boot"), torn);
      const store = await open(folder, "boot-id-1");
      expect(count(store)).toBe(0);
      await store.close();
    }
  });

  test("whose file is not a store, or was cut short, is empty, and this is logged", async () => {
    for (const spoil of [
      (path: string) => writeFile(path, Buffer.alloc(20_000, "not a store ")),
      async (path: string) => truncate(path, Math.floor((await stat(path)).size / 2)),
    ]) {
      lines.length = 0;
      const folder = await crashed();
      await (await open(folder, "boot-id-1")).close();
      await spoil(join(folder, "data.mdb"));
      const store = await open(folder, "boot-id-1");
      expect(count(store)).toBe(0);
      expect(lines).toEqual(["store discarded at opening"]);
      await store.close();
    }
  });

  test("that cannot be synced at close stays marked as open", async () => {
    const folder = await makeFolder();
    const store = await open(folder, "boot-id-1");
    await rm(join(folder, "data.mdb"));
    await store.close();
    expect(lines).toEqual(["store cannot be synced and will be lost when the system goes down"]);
    expect(await mark(folder)).toBe("boot-id-1");
  });

  test("cannot be opened as a durable one, nor a durable one as this: it is refused and left unchanged", async () => {
    const folder = await crashed();
    await expect(openLmdbStore({ folder })).rejects.toThrow(/not durable; name another folder/);
    const durable = await makeFolder();
    const store = await openLmdbStore({ folder: durable });
    await fill(store);
    await store.close();
    const file = join(durable, "data.mdb");
    await expect(open(durable, "boot-id-1")).rejects.toThrow(/is durable; name another folder/);
    await truncate(file, 4_096);
    await expect(open(durable, "boot-id-1")).rejects.toThrow(StoreError);
    expect((await stat(file)).size).toBe(4_096);
    expect(await readdir(durable)).not.toContain("boot");
  });
});

async function fill(store: OrderedStore): Promise<void> {
  await store.batch(Array.from({ length: 2_000 }, (_, n) => ({ key: Buffer.from(`k${n}`), value: Buffer.alloc(500) })));
}

function count(store: OrderedStore): number {
  return store.read((view) => [...view.range({ from: Buffer.of(0), to: Buffer.of(0xff) })].length);
}

/** Opens `folder` in another process, which then ends without closing it. */
async function openInChild(folder: string): Promise<unknown> {
  const child = join(import.meta.dirname, "open-folder.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, folder]);
  return JSON.parse(stdout) as unknown;
}
