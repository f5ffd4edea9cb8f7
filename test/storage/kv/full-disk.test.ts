import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { type LmdbStderr, splitLmdbStderr } from "../../support/lmdb-stderr.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) await run("umount", [folder]);
});

describe("a full disk", () => {
  // LMDB's own failure of a batch that is written alone may abort the process: see docs/design/platform.md.
  test.each([
    ["alone", "seen"],
    ["together", "seen"],
    ["together", "not seen"],
  ])("leaves a batch written %s in doubt, keeps all acknowledged data, and does not end the process (%s before)", async (how, seen) => {
    const found = await fillDisk(how, seen === "seen");
    expect(found).toMatchObject({ inDoubt: true, unhandled: [], isWhole: true, stderr: { rest: "" } });
    expect(found.acknowledged).toBeGreaterThan(100);
    expect(found.valuesThere).toBe(found.acknowledged);
    expect([0, 1]).toContain(found.surplus);
  });

  test.each(["alone", "together"])(
    "is noticed before LMDB fails, which prints nothing, however often the storage is opened again and written %s",
    async (how) => {
      const found = await fillDisk(how, true, 60);
      // Without a mount there is only the limit on the size of files, which cannot be seen.
      if (found.isMounted) expect(found).toMatchObject({ isWhole: true, surplus: 0, stderr: { byLmdb: 0, byLmdbJs: 0, rest: "" } });
    },
  );

  test("is noticed before LMDB fails when a batch of few bytes copies many pages", async ({ skip }) => {
    const folder = join(await makeFolder(), "small");
    await mkdir(folder);
    if (!(await mountSmall(folder, "5m"))) return skip("a mount is not permitted here");
    const { stdout, stderr } = await run(process.execPath, ["--import", "tsx", join(import.meta.dirname, "spread-writes.ts"), folder]);
    expect({ ...JSON.parse(stdout), stderr }).toEqual({ code: "ZOOID_DISK_FULL", stderr: "" });
  });
});

interface Printed {
  readonly acknowledged: number;
  readonly valuesThere: number;
  readonly surplus: number;
}

type Found = Printed & { readonly isMounted: boolean; readonly stderr: LmdbStderr };

/**
 * Fills a disk, on a small tmpfs whose free space can be seen, or by a limit on the size of files, which nothing shows
 * before a write fails. Where a mount is not permitted, it is the limit. Then opens the storage again and commits,
 * `retries` times.
 */
async function fillDisk(how: string, isSeen: boolean, retries = 0): Promise<Found> {
  const folder = join(await makeFolder(), "small");
  await mkdir(folder);
  const isMounted = isSeen && (await mountSmall(folder, "4m"));
  const command = [
    process.execPath,
    "--import",
    "tsx",
    join(import.meta.dirname, "fill-disk.ts"),
    folder,
    how,
    String(isMounted ? retries : 0),
  ];
  // XFSZ is ignored: this signal of the limit would kill the process before the write fails.
  const limited = ["-c", 'trap "" XFSZ; ulimit -f 6000; exec "$@"', "sh", ...command];
  const { stdout, stderr } = isMounted ? await run(command[0] ?? "", command.slice(1)) : await run("sh", limited);
  return { ...(JSON.parse(stdout) as Printed), isMounted, stderr: splitLmdbStderr(stderr) };
}

async function mountSmall(folder: string, size: string): Promise<boolean> {
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  } catch {
    return false;
  }
  mounted.push(folder);
  return true;
}
