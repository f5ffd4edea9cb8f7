import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { toJson } from "../json-values.js";
import { option, parseInteger } from "../parsing.js";
import { printable } from "../printable.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

interface ListFlags extends ConnectionFlags {
  readonly after?: string;
  readonly limit: number;
  readonly keys?: boolean;
}

/** `zooid list [prefix]`: prints the objects whose keys begin with the prefix, in order. */
export function addList(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("list")
    .description("Prints the objects whose keys begin with a prefix, in the order of their keys, all of one moment.")
    .argument("[prefix]", "beginning of the keys; all when not given", "")
    .addOption(option("--after <key>", undefined, "begin after this key"))
    .addOption(option("--limit <count>", undefined, "print at most this many").argParser(parseInteger(1, 1_000_000_000)).default(100))
    .addOption(option("--keys", undefined, "print only keys")).notes(`
A line is a key, a tab and a value; characters that control a terminal are escaped as \\u001b. With --json it is {"key": …, "value": …}.

Examples:
  $ zooid list city/AD/
  $ zooid list city/ --keys --limit 10
  $ zooid list city/AD/ --after city/AD/05/Ordino --json`);
  addConnectionOptions(command).action(async (prefix: string, flags: ListFlags) => {
    const { out, signal } = surroundings;
    await withStore(flags, surroundings, async (store) => {
      const after = flags.after === undefined ? {} : { after: flags.after };
      for await (const [key, value] of store.list(prefix, { limit: flags.limit, signal, ...after })) {
        if (flags.json === true) await out.json(flags.keys === true ? { key } : { key, value: toJson(value) });
        else await out.line(flags.keys === true ? printable(key) : `${printable(key)}\t${JSON.stringify(toJson(value))}`);
      }
    });
  });
}
