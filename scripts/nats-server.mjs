// Finds a nats-server, or gets Debian's without installing it. Node's built-in modules only: it runs before `npm ci`.
//
//   node scripts/nats-server.mjs             prints the path of the one that is found
//   node scripts/nats-server.mjs --provide   gets one first, where apt exists
//   node scripts/nats-server.mjs --all       prints every one that is found, one a line

import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache");

/** The one line that says how to get a nats-server. */
export const howToGetNatsServer =
  "no nats-server found: put it on PATH or set NATS_SERVER to its path " +
  "(Debian and Ubuntu: `node scripts/nats-server.mjs --provide` fetches it without root; macOS: `brew install nats-server`)";

/**
 * Path of the nats-server to use: NATS_SERVER, else the one on PATH, else one unpacked in .cache; undefined when there is none.
 * Throws when NATS_SERVER is set to something that cannot be run: a wrong setting is never passed over in silence.
 * @returns {string | undefined}
 */
export function findNatsServer() {
  const named = process.env["NATS_SERVER"];
  if (named !== undefined && named !== "") {
    if (!isExecutable(named)) throw new Error(`NATS_SERVER is ${named}, which is not an executable file`);
    return resolve(named);
  }
  return onPath() ?? unpacked()[0];
}

/** The nats-server to use. Throws with the line that says how to get one. */
export function requireNatsServer() {
  const found = findNatsServer();
  if (found === undefined) throw new Error(howToGetNatsServer);
  return found;
}

/** Every nats-server that can be found without being named: those unpacked in .cache/nats-server*, and the one on PATH. */
export function allNatsServers() {
  const found = [...unpacked(), onPath()].filter((path) => path !== undefined);
  return [...new Set(found.map((path) => realpathSync(path)))];
}

/**
 * The nats-server that is found, else Debian's, downloaded and unpacked into .cache: needs no root and starts no service.
 * Throws with the line that says how to get one. Progress goes to standard error.
 */
export function provideNatsServer() {
  const found = findNatsServer();
  if (found !== undefined) return found;
  if (!hasCommand("apt-get") || !hasCommand("dpkg-deb")) throw new Error(howToGetNatsServer);
  say("fetching nats-server (apt-get download, unpacked into .cache)");
  // apt hands the download to a user of its own, who must be able to write here; root's folder would make it warn.
  const folder = mkdtempSync(join(tmpdir(), "zooid-nats-server-"));
  try {
    const error = download(folder);
    if (error !== undefined) throw new Error(`${howToGetNatsServer}; apt-get said: ${error}`);
    unpack(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return requireNatsServer();
}

/** What `nats-server --version` says, without its name. @param {string} path */
export function natsServerVersion(path) {
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return stdout.replace(/^nats-server:\s*/, "").trim();
}

/** @param {string} folder @returns {string | undefined} what went wrong */
function download(folder) {
  const attempt = () => spawnSync("apt-get", ["download", "nats-server"], { cwd: folder, encoding: "utf8" });
  let result = attempt();
  // Without package lists apt knows no packages at all; only root may fetch them.
  if (result.status !== 0 && process.getuid?.() === 0) {
    say("apt has no package lists yet: apt-get update");
    spawnSync("apt-get", ["update"], { stdio: ["ignore", "ignore", "ignore"] });
    result = attempt();
  }
  return result.status === 0 ? undefined : lastLine(result.stderr);
}

/** @param {string} folder */
function unpack(folder) {
  const deb = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error(`${howToGetNatsServer}; apt-get downloaded nothing`);
  const home = join(cache, "nats-server");
  mkdirSync(home, { recursive: true });
  const staging = mkdtempSync(join(home, ".unpacking-"));
  const result = spawnSync("dpkg-deb", ["-x", join(folder, deb), staging], { encoding: "utf8" });
  const target = join(home, deb.replace(/\.deb$/, ""));
  try {
    if (result.status !== 0) throw new Error(`dpkg-deb could not unpack ${deb}: ${lastLine(result.stderr)}`);
    // Renamed when whole, so that a run at the same time, or after a kill, never sees half a package.
    renameSync(staging, target);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    if (binaryIn(target) === undefined) throw error;
  }
}

/** Servers unpacked in .cache/nats-server, or in folders beside it for other versions. */
function unpacked() {
  return folders(cache)
    .filter((folder) => /\/nats-server[^/]*$/.test(folder.replaceAll("\\", "/")))
    .flatMap((folder) => [folder, ...folders(folder)])
    .map(binaryIn)
    .filter((path) => path !== undefined);
}

/** @param {string} folder */
function binaryIn(folder) {
  return ["usr/sbin", "usr/bin", "bin", "."].map((part) => join(folder, part, "nats-server")).find(isExecutable);
}

function onPath() {
  // npm puts folders of its own on PATH; an empty part would mean the working folder.
  const parts = (process.env["PATH"] ?? "").split(delimiter).filter((part) => part !== "");
  return parts.map((part) => join(part, "nats-server")).find(isExecutable);
}

/** @param {string} name */
function hasCommand(name) {
  return (process.env["PATH"] ?? "").split(delimiter).some((part) => isExecutable(join(part, name)));
}

/** Sorted paths of the folders in a folder; none when it is not there. @param {string} folder */
function folders(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => join(folder, entry.name))
      .sort();
  } catch {
    return [];
  }
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @param {string} text */
function lastLine(text) {
  return text.trim().split("\n").at(-1) ?? "";
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`zooid: ${line}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  try {
    if (process.argv.includes("--all")) for (const path of allNatsServers()) process.stdout.write(`${path}\n`);
    else process.stdout.write(`${process.argv.includes("--provide") ? provideNatsServer() : requireNatsServer()}\n`);
  } catch (error) {
    process.stderr.write(`zooid: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
