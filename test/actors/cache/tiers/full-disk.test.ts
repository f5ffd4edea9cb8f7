import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { withoutLmdbLines } from "../../../support/lmdb-stderr.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) await run("umount", [folder]);
});

test("a cache whose disk is full goes on in memory, logs that once, and has no stale result after a kill and a restart", async () => {
  const parent = join(await makeFolder(), "small");
  await mkdir(parent);
  const isMounted = await run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", parent]).then(
    () => true,
    () => false,
  );
  if (isMounted) mounted.push(parent);
  const folder = join(parent, "results");
  const command = [process.execPath, "--import", "tsx", join(import.meta.dirname, "fill-folder.ts"), folder];
  // Where mounting is not permitted, a limit on the size of files makes the same writes fail. Without the trap, its
  // signal would kill the process.
  const limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 6000; exec "$@"', "sh", ...command];
  const [program = "", ...args] = isMounted ? command : limited;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const printed = text(child.stderr);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const found = JSON.parse(line) as { most: number; kept: number; lines: string[] };
  expect(found).toMatchObject({ kept: 6, published: "published", isNew: true, isKept: true, unhandled: [] });
  expect(found.most).toBeGreaterThan(100);
  expect(found.lines.filter((text) => text === "cached results on disk cannot be used any more")).toHaveLength(1);
  expect(found.lines.length).toBeLessThanOrEqual(3);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  expect(withoutLmdbLines(await printed)).toBe("");

  await using cache = await createCache({ storageUrl: `lmdb:${folder}` });
  const load = cache.cacheable(async (_id: string) => ({ computed: "anew" }), { name: "load", deps: (id) => [`page:${id}`] });
  expect(await load("k5")).toEqual({ computed: "anew" });
});
