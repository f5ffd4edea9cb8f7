import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { temporaryFolders } from "../storage/temporary-folder.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) await run("umount", [folder]);
});

test("a server whose disk is full refuses commits and serves loads, loses nothing, and goes on when there is room", async () => {
  const disk = await smallDisk();
  const [program = "", ...args] = disk.command(
    process.execPath,
    "--import",
    "tsx",
    join(import.meta.dirname, "serve-full-disk.ts"),
    disk.folder,
  );
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit");
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const said = async () =>
      JSON.parse((await lines.next()).value as string) as Record<string, unknown> & { acknowledged: number; refused: string[] };

    const full = await said();
    expect(full.acknowledged).toBeGreaterThan(100);
    expect(full).toMatchObject({ late: "ZOOID_READ_ONLY", there: full.acknowledged, logged: full.acknowledged });
    // Each write that failed was settled: the log, read back, did not have it.
    expect(full.refused.length).toBeGreaterThan(0);
    for (const code of full.refused) expect(["ZOOID_TRANSACTION_ABORTED", "ZOOID_READ_ONLY"]).toContain(code);

    await disk.makeRoom(child.pid as number);
    child.stdin.write("there is room\n");
    expect(await said()).toEqual({ follows: true, after: "there is room", unhandled: [] });
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
  }
});

interface SmallDisk {
  readonly folder: string;
  command(...args: string[]): string[];
  /** `pid` is of the process that found it full. */
  makeRoom(pid: number): Promise<unknown>;
}

/** A tmpfs with something else on it; where none may be mounted, a limit on the size of files makes the same writes fail. */
async function smallDisk(): Promise<SmallDisk> {
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
    return { folder, command: (...args) => args, makeRoom: () => rm(ballast) };
  }
  // The signal that goes with the limit would kill the process before the write could fail. Who runs may raise a soft limit again.
  return {
    folder,
    command: (...args) => ["sh", "-c", 'trap "" XFSZ; ulimit -S -f 6000; exec "$@"', "sh", ...args],
    makeRoom: (pid) => run("prlimit", ["--pid", String(pid), "--fsize=unlimited"]),
  };
}
