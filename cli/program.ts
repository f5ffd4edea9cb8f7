import { createRequire } from "node:module";
import { Command } from "commander";
import { addCache } from "./commands/cache.js";
import { addDelete } from "./commands/delete.js";
import { addExport } from "./commands/export.js";
import { addGet } from "./commands/get.js";
import { addImport } from "./commands/import.js";
import { addList } from "./commands/list.js";
import { addMachines } from "./commands/machines.js";
import { addPut } from "./commands/put.js";
import { addServe } from "./commands/serve.js";
import { addStatus } from "./commands/status.js";
import { readSwitchVariables } from "./parsing.js";
import type { Surroundings } from "./surroundings.js";

/** The command line: every command with its flags, its help and what it does. */
export function createProgram(surroundings: Surroundings): Command {
  const { version } = createRequire(import.meta.url)("zooid/package.json") as { version: string };
  const program = new Command("zooid")
    .description("A transactional object store whose clients' caches stay true, and a cache of functions' results, invalidated by tag.")
    .version(version)
    .showSuggestionAfterError()
    .exitOverride()
    .hook("preAction", (_, command) => readSwitchVariables(command, process.env))
    // Errors are told in one place, in one line: here only help goes out.
    .configureOutput({ writeErr: () => undefined })
    .addHelpText(
      "after",
      `
Every flag can be set by the variable named beside it. Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  $ zooid serve --data ./data                 a storage server
  $ zooid put greeting '"hello"'              an object
  $ zooid get greeting
  $ zooid status                              who is connected, and in which state
  $ zooid cache stats                         what the nodes of a cache hold`,
    );
  for (const add of [addServe, addGet, addPut, addDelete, addList, addImport, addExport, addStatus, addMachines, addCache]) {
    add(program, surroundings);
  }
  return program;
}
