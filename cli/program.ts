import { createRequire } from "node:module";
import type { Command } from "commander";
import { CliCommand } from "./command.js";
import { addCache } from "./commands/cache.js";
import { addDelete } from "./commands/delete.js";
import { addExport } from "./commands/export.js";
import { addGet } from "./commands/get.js";
import { addImport } from "./commands/import.js";
import { addList } from "./commands/list.js";
import { addMachines } from "./commands/machines.js";
import { addPut } from "./commands/put.js";
import { addRecord } from "./commands/record.js";
import { addReplay } from "./commands/replay.js";
import { addServe } from "./commands/serve.js";
import { addStatus } from "./commands/status.js";
import { addTop } from "./commands/top.js";
import { addWatch } from "./commands/watch.js";
import type { Surroundings } from "./surroundings.js";

/** The command line: every command with its flags, its help and its action. */
export function createProgram(surroundings: Surroundings): Command {
  const { version } = createRequire(import.meta.url)("zooid/package.json") as { version: string };
  const program = CliCommand.root("zooid")
    .description("A transactional object store with client caches, and a cache of function results that is invalidated by tag.")
    .version(version).notes(`
Every flag can be set by the variable named beside it. Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  $ zooid serve --data ./data                 a storage server
  $ zooid put greeting '"hello"'              an object
  $ zooid get greeting
  $ zooid status                              the server, its clients, the state of each machine
  $ zooid top                                 all actors of a realm, live
  $ zooid watch 'client/**'                   what the machines of clients do, line by line
  $ zooid machines connection --of A          that machine of client A as a picture
  $ zooid cache stats                         the nodes of a semantic cache`);
  for (const add of [
    addServe,
    addGet,
    addPut,
    addDelete,
    addList,
    addImport,
    addExport,
    addStatus,
    addTop,
    addWatch,
    addRecord,
    addReplay,
    addMachines,
    addCache,
  ]) {
    add(program, surroundings);
  }
  return program;
}
