import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { withoutLmdbLines } from "../../support/lmdb-stderr.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) await run("umount", [folder]);
});

describe("a full disk", () => {
  for (const how of ["alone", "together"]) {
    test(`leaves a batch written ${how} in doubt, keeps all acknowledged data, and does not end the process`, async () => {
      const found = await fillDisk(how);
      expect(found).toMatchObject({ inDoubt: true, unhandled: [], isWhole: true, printed: "" });
      expect(found.acknowledged).toBeGreaterThan(100);
      expect(found.valuesThere).toBe(found.acknowledged);
      expect([0, 1]).toContain(found.surplus);
    });
  }
});

interface Found {
  readonly acknowledged: number;
  readonly valuesThere: number;
  readonly surplus: number;
  /** Standard error, without what LMDB prints. */
  readonly printed: string;
}

/** Fills a small tmpfs. Where a mount is not permitted, a limit on the size of files makes the same writes fail. */
async function fillDisk(how: string): Promise<Found> {
  const folder = join(await makeFolder(), "small");
  await mkdir(folder);
  const command = [process.execPath, "--import", "tsx", join(import.meta.dirname, "fill-disk.ts"), folder, how];
  const mount = run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", folder]);
  const isMounted = await mount.then(
    () => true,
    () => false,
  );
  if (isMounted) mounted.push(folder);
  // XFSZ is ignored: this signal of the limit would kill the process before the write fails.
  const limited = ["-c", 'trap "" XFSZ; ulimit -f 6000; exec "$@"', "sh", ...command];
  const { stdout, stderr } = isMounted ? await run(command[0] ?? "", command.slice(1)) : await run("sh", limited);
  return { ...(JSON.parse(stdout) as Omit<Found, "printed">), printed: withoutLmdbLines(stderr) };
}
