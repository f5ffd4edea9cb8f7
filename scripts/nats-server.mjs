// Finds a nats-server, or gets Debian's without installing it. Uses only Node's built-in modules: it runs before
// `npm ci`.
//
//   node scripts/nats-server.mjs                 prints the path of the nats-server to use
//   node scripts/nats-server.mjs --provide       gets one first, where apt exists
//   node scripts/nats-server.mjs --release sid   gets the one of another Debian release, for npm run test:servers
//   node scripts/nats-server.mjs --all           prints the paths of all that are found, one a line

import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
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
 * Path of the nats-server to use: NATS_SERVER, else the one on PATH, else one unpacked in .cache. Undefined: there is
 * none. Throws when NATS_SERVER is set to a file that is not executable: a wrong setting is never ignored silently.
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

/** All nats-servers that are found without NATS_SERVER: those unpacked in .cache/nats-server*, and the one on PATH. */
export function allNatsServers() {
  const found = [...unpacked(), onPath()].filter((path) => path !== undefined);
  return [...new Set(found.map((path) => realpathSync(path)))];
}

/**
 * The nats-server that is found, else Debian's, downloaded and unpacked into .cache: this needs no root and starts no
 * service. Throws with the line that says how to get one. Progress goes to standard error.
 */
export function provideNatsServer() {
  const found = findNatsServer();
  if (found !== undefined) return found;
  fetchPackage("nats-server (apt-get download, unpacked into .cache)", join(cache, "nats-server"), download);
  return requireNatsServer();
}

/**
 * The nats-server of Debian release `release`, unpacked beside the one in use. It runs only where its path is given.
 * @param {string} release
 */
export function provideReleasedNatsServer(release) {
  if (!/^[a-z]+$/.test(release)) throw new Error(`${release} is no name of a Debian release`);
  const home = join(cache, `nats-server-${release}`);
  const there = () =>
    folders(home)
      .map(binaryIn)
      .find((path) => path !== undefined);
  if (there() === undefined) {
    fetchPackage(`nats-server of Debian ${release} (its package lists, then apt-get download)`, home, (folder) =>
      downloadOf(release, folder),
    );
  }
  return there() ?? requireNatsServer();
}

/**
 * Downloads with `fetch` into a folder of its own, and unpacks into `home`.
 * @param {string} what
 * @param {string} home
 * @param {(folder: string) => string | undefined} fetch
 */
function fetchPackage(what, home, fetch) {
  if (!hasCommand("apt-get") || !hasCommand("dpkg-deb")) throw new Error(howToGetNatsServer);
  say(`fetching ${what}`);
  const folder = mkdtempSync(join(tmpdir(), "zooid-nats-server-"));
  try {
    const error = fetch(folder);
    if (error !== undefined) throw new Error(`${howToGetNatsServer}; apt-get said: ${error}`);
    unpack(folder, home);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Version that `nats-server --version` prints, without the name. Throws when it cannot be run. @param {string} path */
export function natsServerVersion(path) {
  const { stdout, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
  if (error !== undefined) throw new Error(`${path} cannot be run: ${error.message}`);
  return stdout.replace(/^nats-server:\s*/, "").trim();
}

/** @param {string} folder @returns {string | undefined} reason of a failure */
function download(folder) {
  const attempt = () => spawnSync("apt-get", ["download", "nats-server"], { cwd: folder, encoding: "utf8" });
  let result = attempt();
  // Without package lists apt knows no packages. Only root may fetch the lists.
  if (result.status !== 0 && process.getuid?.() === 0) {
    say("apt has no package lists yet: apt-get update");
    spawnSync("apt-get", ["update"], { stdio: ["ignore", "ignore", "ignore"] });
    result = attempt();
  }
  return result.status === 0 ? undefined : lastLine(result.stderr);
}

/**
 * Downloads with its own package lists, from the source of this machine's apt.
 * @param {string} release
 * @param {string} folder
 * @returns {string | undefined} reason of a failure
 */
function downloadOf(release, folder) {
  const targets = spawnSync("apt-get", ["indextargets", "--format", "$(REPO_URI)", "Component: main"], { encoding: "utf8" });
  const [source] = targets.stdout.split("\n").filter((line) => line.includes("/debian"));
  if (source === undefined || source === "") return "no source of Debian packages is set up here";
  const lists = join(folder, "lists");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(folder, "cache", "archives", "partial"), { recursive: true });
  const sources = join(folder, "sources.list");
  writeFileSync(sources, `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${source} ${release} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": lists,
    "Dir::Cache": join(folder, "cache"),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  for (const command of [["update"], ["download", "nats-server"]]) {
    const { status, stderr } = spawnSync("apt-get", [...options, ...command], { cwd: folder, encoding: "utf8" });
    if (status !== 0) return lastLine(stderr);
  }
  return undefined;
}

/** @param {string} folder @param {string} home */
function unpack(folder, home) {
  const deb = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error(`${howToGetNatsServer}; apt-get downloaded nothing`);
  mkdirSync(home, { recursive: true });
  const staging = mkdtempSync(join(home, ".unpacking-"));
  const result = spawnSync("dpkg-deb", ["-x", join(folder, deb), staging], { encoding: "utf8" });
  const target = join(home, deb.replace(/\.deb$/, ""));
  try {
    if (result.status !== 0) throw new Error(`dpkg-deb could not unpack ${deb}: ${lastLine(result.stderr)}`);
    // Renamed when complete, so that a run at the same time, or after a kill, never sees half a package.
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
  // npm adds its own folders to PATH. An empty part would mean the working folder.
  const parts = (process.env["PATH"] ?? "").split(delimiter).filter((part) => part !== "");
  return parts.map((part) => join(part, "nats-server")).find(isExecutable);
}

/** @param {string} name */
function hasCommand(name) {
  return (process.env["PATH"] ?? "").split(delimiter).some((part) => isExecutable(join(part, name)));
}

/** Sorted paths of the folders in a folder; none if it does not exist. @param {string} folder */
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

function answer() {
  const [flag, release] = process.argv.slice(2);
  switch (flag) {
    case "--all":
      return allNatsServers();
    case "--release":
      return [provideReleasedNatsServer(release ?? "")];
    case "--provide":
      return [provideNatsServer()];
    default:
      return [requireNatsServer()];
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  try {
    for (const path of answer()) process.stdout.write(`${path}\n`);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
