import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { built } from "../../support/built.js";
import { root } from "../../support/source.js";

const run = promisify(execFile);

/** How many files of elkjs a process loads, when it runs `program`. */
async function filesOfElkLoadedBy(program: string): Promise<number> {
  const look = `
    import { createRequire } from "node:module";
    ${program}
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.filter((path) => path.includes("elkjs")).length);
    process.exit();`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", look], { cwd: root });
  return Number(stdout);
}

const importOf = (path: string) => `await import(${JSON.stringify(pathToFileURL(built(path)).href)});`;

test.each(["index.js", "server.js", "cache.js", "actors/index.js", "machines/index.js"])("importing %s loads no elkjs", async (path) => {
  expect(await filesOfElkLoadedBy(importOf(path))).toBe(0);
});

test("a process that loads elkjs is noticed", async () => {
  expect(await filesOfElkLoadedBy(`await import("elkjs/lib/elk.bundled.js");`)).toBeGreaterThan(0);
});
