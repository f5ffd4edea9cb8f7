import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { open, type RootDatabase } from "lmdb";
import { afterEach, beforeEach, expect, test } from "vitest";
import { splitLmdbStderr } from "../support/lmdb-stderr.js";
import { root } from "../support/source.js";

let folder: string;
let database: RootDatabase<Buffer, Buffer>;

const options = { keyEncoding: "binary", encoding: "binary", overlappingSync: false, cache: false, eventTurnBatching: false } as const;
const bytes = (text: string) => Buffer.from(text);
const textAt = (key: string) => database.get(bytes(key))?.toString();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmdb-"));
  database = open({ path: join(folder, "store"), ...options });
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

test("batch keeps what its callback wrote before it threw; transactionSync rolls it back", () => {
  const failing = (key: string) => () => {
    void database.put(bytes(key), bytes("kept"));
    throw new Error("in the middle");
  };
  expect(() => database.transactionSync(failing("sync"))).toThrow("in the middle");
  expect(() => void database.batch(failing("batch"))).toThrow("in the middle");
  // This write waits for all queued writes.
  database.transactionSync(() => void database.put(bytes("other"), bytes("x")));
  database.resetReadTxn();
  expect([textAt("sync"), textAt("other")]).toEqual([undefined, "x"]);
  return database.flushed.then(() => {
    database.resetReadTxn();
    expect(textAt("batch")).toBe("kept");
  });
});

test("a put cannot be read before its promise resolves", async () => {
  await database.put(bytes("key"), bytes("one"));
  database.resetReadTxn();
  const written = database.put(bytes("key"), bytes("two"));
  expect(textAt("key")).toBe("one");
  await written;
  database.resetReadTxn();
  expect(textAt("key")).toBe("two");
});

test("reads in one synchronous block see one state, even when a commit happens meanwhile", async () => {
  await database.put(bytes("key"), bytes("one"));
  database.resetReadTxn();
  expect(textAt("key")).toBe("one");
  const written = database.put(bytes("key"), bytes("two"));
  // The write thread commits while this thread is busy.
  for (const endsAt = performance.now() + 30; performance.now() < endsAt;);
  expect(textAt("key")).toBe("one");
  await written;
});

test("getBinaryFast gives bytes of one buffer, which the next read overwrites", async () => {
  await Promise.all([database.put(bytes("a"), bytes("first")), database.put(bytes("b"), bytes("other"))]);
  database.resetReadTxn();
  const first = database.getBinaryFast(bytes("a")) ?? expect.fail("it is there");
  database.getBinaryFast(bytes("b"));
  expect(Buffer.from(first.subarray(0, 5)).toString()).toBe("other");
});

test("a folder with a dot in its name is made as a file, unless noSubdir is false", async () => {
  for (const [name, more, isFolder] of [
    ["v1.0", {}, false],
    ["v1.1", { noSubdir: false }, true],
  ] as const) {
    const other = open({ path: join(folder, name), ...options, ...more });
    await other.put(bytes("key"), bytes("x"));
    expect(statSync(join(folder, name)).isDirectory()).toBe(isFolder);
    await other.close();
  }
});

test("a key has 1,978 bytes at most, and `put` throws for a longer one", async () => {
  await database.put(Buffer.alloc(1_978, 1), bytes("x"));
  expect(() => void database.put(Buffer.alloc(1_979, 1), bytes("x"))).toThrow("maximum key size");
});

test("ranges are in the order of the keys' bytes, a shorter key before those that begin with it", async () => {
  const keys = [[0xff], [1, 0], [1], [0x80], [1, 0xff]].map((key) => Buffer.from(key));
  await Promise.all(keys.map((key) => database.put(key, bytes("x"))));
  database.resetReadTxn();
  const found = Array.from(database.getKeys(), (key) => Buffer.from(key));
  expect(found).toEqual(keys.toSorted((a, b) => Buffer.compare(a, b)));
});

test("mapSize is no bound: the file grows past it", async () => {
  const other = open({ path: join(folder, "small"), ...options, mapSize: 1024 * 1024 });
  for (let count = 0; count < 20; count++) await other.put(bytes(`key ${count}`), Buffer.alloc(100_000));
  await other.close();
  expect(statSync(join(folder, "small", "data.mdb")).size).toBeGreaterThan(2_000_000);
});

test("the file begins with two meta pages that say their format, their size, the last page and the transaction", async () => {
  for (let count = 0; count < 20; count++) await database.put(bytes(`key ${count}`), bytes("x"));
  const file = readFileSync(join(folder, "store", "data.mdb"));
  const pageBytes = file.readUInt32LE(48);
  const metas = [0, pageBytes].map((at) => ({
    magic: file.readUInt32LE(at + 24),
    version: file.readUInt32LE(at + 28),
    lastPage: Number(file.readBigUInt64LE(at + 144)),
    transaction: Number(file.readBigUInt64LE(at + 152)),
  }));
  const format = { magic: 0xbeefc0de, version: 2 };
  expect(metas).toMatchObject([format, format]);
  const latest = metas.reduce((one, other) => (one.transaction > other.transaction ? one : other));
  expect(latest.transaction).toBeGreaterThanOrEqual(20);
  expect(file.length).toBeGreaterThanOrEqual((latest.lastPage + 1) * pageBytes);
});

test("a write that fails is printed to standard error by LMDB, and by lmdb-js too if it was asynchronous", async () => {
  const fill = (write: string) => `
    import { open } from "lmdb";
    const database = open({ path: process.argv[1], ...${JSON.stringify({ ...options, noSync: true })} });
    try {
      for (let count = 0; ; count++) {
        const put = () => database.put(Buffer.from("key " + count), Buffer.alloc(2_000));
        ${write};
      }
    } catch (error) {
      await Promise.resolve(error.commitError).catch(() => undefined);
      process.kill(process.pid, "SIGKILL");
    }`;
  const printed = async (name: string, write: string) => {
    const node = [process.execPath, "--input-type=module", "--eval", fill(write), join(folder, name)];
    // Without the trap, the signal of the limit would kill the process before the write fails. No write is cut short at
    // this limit: LMDB prints nothing of such a failure.
    const command = ["-c", 'trap "" XFSZ; ulimit -f 6000; exec "$@"', "sh", ...node];
    const { stderr } = await promisify(execFile)("sh", command, { cwd: root }).catch((error: { readonly stderr: string }) => error);
    return splitLmdbStderr(stderr);
  };
  expect(await printed("async", "await database.batch(put)")).toEqual({ byLmdb: 1, byLmdbJs: 1, rest: "" });
  const { rest, ...lines } = await printed("sync", "database.transactionSync(() => void put())");
  expect(lines).toEqual({ byLmdb: 1, byLmdbJs: 0 });
  // Sometimes the failure also damages the heap, and the C library ends the process: docs/design/platform.md.
  expect(rest).toMatch(/^$|^(?:double free or corruption|munmap_chunk\(\)|free\(\)|corrupted|malloc)[^\n]*$/);
});
