// Installs missing packages and builds dist if needed. Uses only Node's built-in modules: it runs before `npm ci`.
//
//   node scripts/set-up.mjs                 dependencies and dist
//   node scripts/set-up.mjs --nats-server   and a nats-server, which tests need
//   node scripts/set-up.mjs --build         builds dist in any case

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { provideNatsServer } from "./nats-server.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const within = (/** @type {string[]} */ ...parts) => join(root, ...parts);
/** Written when a build is complete. During a build it is old or missing. */
const builtStamp = within(".cache", "built");

/** Whether the installed packages are those of package-lock.json. File times do not count. */
function isInstalled() {
  const wanted = packagesOf(within("package-lock.json"));
  const installed = packagesOf(within("node_modules", ".package-lock.json"));
  if (wanted === undefined) throw new Error("package-lock.json cannot be read");
  if (installed === undefined) return false;
  const sameAsWanted = Object.entries(installed).every(([path, found]) => wanted[path]?.version === found.version);
  // Packages for other platforms are optional, and missing here.
  const allThere = Object.entries(wanted).every(([path, entry]) => path === "" || entry.optional === true || path in installed);
  return sameAsWanted && allThere;
}

/** @param {string} path @returns {Record<string, { version?: string, optional?: boolean }> | undefined} */
function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Whether dist is newer than all its sources. */
function isBuilt() {
  if (!existsSync(within("dist")) || !existsSync(builtStamp)) return false;
  const builtMs = statSync(builtStamp).mtimeMs;
  return sources().every((path) => newestMs(path) <= builtMs);
}

/** Sources of dist: the rooms that tsconfig.build.json includes, the settings, and the compiler. */
function sources() {
  /** @type {{ include: string[] }} */
  const { include } = JSON.parse(readFileSync(within("tsconfig.build.json"), "utf8"));
  const rooms = include.map((pattern) => within(pattern.split("/*")[0] ?? pattern));
  const settings = ["tsconfig.json", "tsconfig.build.json", "package-lock.json"].map((name) => within(name));
  return [...rooms, ...settings].filter((path) => existsSync(path));
}

/**
 * Latest change of a file, or of a folder and everything in it; a folder changes when a file in it is removed.
 * @param {string} path
 * @returns {number}
 */
function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

function install() {
  say("installing dependencies (npm ci)");
  const npm = process.env["npm_execpath"];
  const flags = ["ci", "--no-audit", "--no-fund", "--prefer-offline"];
  if (npm === undefined) run("npm", flags);
  else run(process.execPath, [npm, ...flags]);
}

function build() {
  say("building dist (tsc)");
  const startedAt = new Date();
  // Build beside dist, and move it there when complete: a process that runs from dist sees the old build, never half a
  // build.
  const [staging, old] = [within(`dist.${process.pid}.new`), within(`dist.${process.pid}.old`)];
  try {
    const tsc = within("node_modules", "typescript", "bin", "tsc");
    run(process.execPath, [tsc, "-p", within("tsconfig.build.json"), "--outDir", staging]);
    if (existsSync(within("dist"))) renameSync(within("dist"), old);
    renameSync(staging, within("dist"));
    mkdirSync(dirname(builtStamp), { recursive: true });
    writeFileSync(builtStamp, "");
    // A change made during the build is not in it.
    utimesSync(builtStamp, startedAt, startedAt);
  } finally {
    for (const folder of [staging, old]) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a command with its output on standard error. Throws when it fails.
 * @param {string} command
 * @param {string[]} parts
 */
function run(command, parts) {
  const { status, signal, error } = spawnSync(command, parts, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${parts.join(" ")} ended with ${signal ?? status}`);
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`zooid: ${line}\n`);
}

try {
  if (!isInstalled()) install();
  if (process.argv.includes("--build") || !isBuilt()) build();
  if (process.argv.includes("--nats-server")) provideNatsServer();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
