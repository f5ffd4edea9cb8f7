import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { createBroker, serveBroker } from "../../../transport/index.js";
import { temporaryFolders } from "../../support/temporary-folder.js";
import { withoutLmdbLines } from "../../support/lmdb-stderr.js";
import { built } from "../../support/built.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) await run("umount", [folder]);
});

test("a server whose disk is full refuses commits and serves loads, loses nothing, and accepts commits again once there is room", async () => {
  const disk = await smallDisk();
  const [program = "", ...args] = disk.command(
    process.execPath,
    "--import",
    "tsx",
    join(import.meta.dirname, "serve-full-disk.ts"),
    disk.folder,
  );
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "exit");
  const printed = text(child.stderr);
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const said = async () =>
      JSON.parse((await lines.next()).value as string) as Record<string, unknown> & { acknowledged: number; refused: string[] };

    const full = await said();
    expect(full.acknowledged).toBeGreaterThan(100);
    expect(full).toMatchObject({ late: "ZOOID_READ_ONLY", there: full.acknowledged, logged: full.acknowledged });
    // Each failed write was settled: the log was read back, and did not contain it.
    expect(full.refused.length).toBeGreaterThan(0);
    for (const code of full.refused) expect(["ZOOID_TRANSACTION_ABORTED", "ZOOID_READ_ONLY"]).toContain(code);

    await disk.makeRoom(child.pid as number);
    child.stdin.write("there is room\n");
    expect(await said()).toEqual({ follows: true, after: "there is room", unhandled: [] });
    expect(await ended).toEqual([0, null]);
    expect(withoutLmdbLines(await printed)).toBe("");
  } finally {
    child.kill("SIGKILL");
  }
});

describe("on a disk that has no room to begin a store", () => {
  /** Outcomes by the number of free pages, log lines, and standard error of begin-on-full-disk.ts. */
  const begin = async (kind: string) => {
    const disk = await smallDisk(8);
    const script = join(import.meta.dirname, "begin-on-full-disk.ts");
    const [program = "", ...args] = disk.command(process.execPath, "--import", "tsx", script, disk.parent, kind, ...disk.ballast);
    const { stdout, stderr } = await run(program, args);
    const { found, lines } = JSON.parse(stdout) as { found: Record<string, string>; lines: string[] };
    return { found: Object.entries(found), lines, stderr };
  };

  test("opening a new store is DiskFullError at any room that is too small, and standard error stays empty", async () => {
    const { found, stderr } = await begin("store");
    for (const [pages, outcome] of found) expect(outcome, pages).toBe(Number(pages) > 256 ? "opened" : "ZOOID_DISK_FULL true");
    expect(stderr).toBe("");
  });

  test.each(["cache", "client"])("a %s goes on in memory, and logs it once each time", async (kind) => {
    const { found, lines, stderr } = await begin(kind);
    for (const [pages, outcome] of found) expect(outcome, pages).toBe("kept");
    expect(lines).toEqual(found.filter(([pages]) => Number(pages) <= 256).map(() => "cache goes on in memory, its disk is full"));
    expect(stderr).toBe("");
  });

  test("zooid serve ends with ZOOID_DISK_FULL", async () => {
    const disk = await smallDisk(8);
    if (disk.ballast[0] !== undefined) await appendFile(disk.ballast[0], Buffer.alloc(4_000_000, 1)).catch(() => undefined);
    const served = await serveBroker({ broker: createBroker() });
    try {
      const words = [built("cli/zooid.js"), "serve", "--json", "--servers", served.url, "--data", disk.folder];
      const [program = "", ...args] = disk.command(process.execPath, ...words);
      const ended = await run(program, args, { cwd: join(import.meta.dirname, "../../..") }).catch((error: unknown) => error);
      expect(ended).toMatchObject({ code: 1 });
      const said = (ended as { stderr: string }).stderr.trim().split("\n");
      expect(said).toHaveLength(1);
      expect(JSON.parse(said[0] ?? "")).toMatchObject({ error: { code: "ZOOID_DISK_FULL", facts: { isEmpty: true } } });
    } finally {
      await served.close();
    }
  });
});

interface SmallDisk {
  /** The mount point, and a folder on the disk that does not exist yet. */
  readonly parent: string;
  readonly folder: string;
  /** A file on the disk that the program can enlarge or shrink. Empty where only a limit on file sizes is used. */
  readonly ballast: readonly string[];
  command(...args: string[]): string[];
  /** Makes room for the process `pid`, which found the disk full. */
  makeRoom(pid: number): Promise<unknown>;
}

/**
 * A small tmpfs that also holds a ballast file. Where mounting is not permitted, a limit on the size of files makes the
 * same writes fail.
 */
async function smallDisk(blocksMax = 6_000): Promise<SmallDisk> {
  const parent = join(await makeFolder(), "small");
  const folder = join(parent, "data");
  const ballast = join(parent, "ballast");
  await mkdir(parent);
  const isMounted = await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", parent]).then(
    () => true,
    () => false,
  );
  if (isMounted) {
    mounted.push(parent);
    await writeFile(ballast, Buffer.alloc(1_000_000, 1));
    return { parent, folder, ballast: [ballast], command: (...args) => args, makeRoom: () => rm(ballast) };
  }
  // Without the trap, SIGXFSZ would kill the process before the write could fail. The limit is soft, so that `prlimit`
  // can raise it again.
  return {
    parent,
    folder,
    ballast: [],
    command: (...args) => ["sh", "-c", `trap "" XFSZ; ulimit -S -f ${blocksMax}; exec "$@"`, "sh", ...args],
    makeRoom: (pid) => run("prlimit", ["--pid", String(pid), "--fsize=unlimited"]),
  };
}
