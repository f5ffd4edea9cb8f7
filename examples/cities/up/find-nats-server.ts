import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError } from "../../../cli/failure.js";

/** One line of help for users without a nats-server. */
export const howToGetNatsServer =
  "set NATS_SERVER to its path or put it on PATH (in a clone on Debian and Ubuntu: `node scripts/nats-server.mjs --provide`, without root)";

/**
 * Path of a nats-server: NATS_SERVER, else the one on PATH, else one that was unpacked into .cache of the clone;
 * undefined when there is none. Installs nothing. Throws a CommandError when NATS_SERVER is not an executable file.
 */
export function findNatsServer(environment: NodeJS.ProcessEnv): string | undefined {
  const named = environment["NATS_SERVER"];
  if (named !== undefined && named !== "") {
    if (!isExecutable(named)) throw new CommandError("ZOOID_USAGE", `NATS_SERVER is ${named}, which is not an executable file`);
    return resolve(named);
  }
  const folders = (environment["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...folders.map((folder) => join(folder, "nats-server")), ...unpacked()].find(isExecutable);
}

function unpacked(): readonly string[] {
  const cache = fileURLToPath(new URL(".cache", import.meta.resolve("zooid/package.json")));
  const packages = namesIn(cache).filter((name) => name.startsWith("nats-server"));
  const homes = packages.flatMap((name) => [join(cache, name), ...namesIn(join(cache, name)).map((inner) => join(cache, name, inner))]);
  return homes.flatMap((home) => ["usr/sbin", "usr/bin", "bin", "."].map((part) => join(home, part, "nats-server")));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith("."))
      .toSorted();
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
