import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { errorText } from "../../core/index.js";
import { CommandError } from "../failure.js";
import { fromJson, parseJson } from "../json-values.js";
import { printable } from "../printable.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid put <key> <value>`: writes one object. */
export function addPut(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("put")
    .description("Writes an object, and prints its transaction.")
    .argument("<key>", "key of the object")
    .argument("<value>", "its value as JSON, or - to read it from standard input").notes(`
Values that JSON cannot express are written {"$date": "2026-01-01T00:00:00.000Z"}, {"$bytes": "aGVsbG8="}, {"$bigint": "12"}.

Examples:
  $ zooid put greeting '"hello"'
  $ zooid put city/AD/07/Andorra '{"name": "Andorra", "country": "AD"}'
  $ cat value.json | zooid put greeting -`);
  addConnectionOptions(command).action(async (key: string, given: string, flags: ConnectionFlags) => {
    const value = parse(given === "-" ? await text(addAbortSignal(surroundings.signal, process.stdin)) : given);
    await withStore(flags, surroundings, async (store) => {
      const { tid } = await store.transact((tx) => tx.put(key, value), { signal: surroundings.signal });
      if (flags.json === true) await surroundings.out.json({ key, tid });
      else await surroundings.out.line(`${printable(key)} written by transaction ${tid}`);
    });
  });
}

function parse(json: string) {
  try {
    return fromJson(parseJson(json));
  } catch (error) {
    throw new CommandError("ZOOID_USAGE", `<value> is not JSON: ${errorText(error)}`, {}, error);
  }
}
