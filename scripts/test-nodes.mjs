// Runs all tests on other versions of Node, which npm packages bring:
// npm run test:nodes -- [22] [24] [26] [-- arguments for vitest]
//
// The Nodes are kept in .cache/nodes and updated at each run. Without a network, the ones in .cache/nodes are used.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const words = process.argv.slice(2);
const cut = words.includes("--") ? words.indexOf("--") : words.length;
const majors = cut === 0 ? ["22", "24", "26"] : words.slice(0, cut);
const wrong = majors.find((major) => !/^\d+$/.test(major));
if (wrong !== undefined) fail(`${JSON.stringify(wrong)} is no major version of Node: npm run test:nodes -- 22 24`);

/** @type {string[]} */
const results = [];
for (const major of majors) {
  const node = provideNode(major);
  const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
  process.stdout.write(`\nNode ${version}\n`);
  const { status } = spawnSync(node, ["node_modules/vitest/vitest.mjs", "run", ...words.slice(cut + 1)], {
    cwd: root,
    stdio: "inherit",
    // A `node` that tests start is this one too.
    env: { ...process.env, PATH: `${dirname(node)}:${process.env["PATH"] ?? ""}` },
  });
  if (status !== 0) process.exitCode = 1;
  results.push(`Node ${version}: ${status === 0 ? "passed" : "failed"}`);
}
for (const result of results) process.stdout.write(`${result}\n`);

/** Path of the latest Node of this major version. @param {string} major @returns {string} */
function provideNode(major) {
  const folder = join(root, ".cache", "nodes", major);
  const name = `node-${process.platform}-${process.arch}`;
  const path = join(folder, "node_modules", name, "bin", "node");
  mkdirSync(folder, { recursive: true });
  // Without its own package.json the folder would count as a part of this package.
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--no-save", `${name}@${major}`], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (existsSync(path)) {
    if (status !== 0) process.stderr.write(`zooid: npm could not look for a newer Node ${major}: the one in .cache/nodes is used\n`);
    return path;
  }
  const there = existsSync(join(folder, "node_modules")) ? readdirSync(join(folder, "node_modules")).join(", ") : "nothing";
  return fail(`npm has no ${name}@${major} (${there} was installed)`);
}

/** @param {string} reason @returns {never} */
function fail(reason) {
  process.stderr.write(`zooid: ${reason}\n`);
  process.exit(2);
}
