import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { CommandError } from "../failure.js";
import { toJson } from "../json-values.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid get <key…>`: prints objects, all of one moment. */
export function addGet(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("get")
    .description("Prints objects as JSON, all of one moment.")
    .argument("<key...>", "keys of the objects").notes(`
With one key it prints the value; with several keys, or with --json, it prints {"key": …, "value": …}, one a line.
Ends with exit code 1 if a key does not exist.

Examples:
  $ zooid get city/AD/07/'Andorra la Vella'
  $ zooid get a b c | jq .value
  $ zooid get greeting --servers nats://10.0.0.5:4222`);
  addConnectionOptions(command).action(async (keys: string[], flags: ConnectionFlags) => {
    await withStore(flags, surroundings, async (store) => {
      const { value: values } = await store.read((tx) => tx.getMany(keys), { signal: surroundings.signal });
      for (const [index, key] of keys.entries()) {
        const value = values[index];
        if (value === undefined) continue;
        const json = toJson(value);
        if (flags.json === true || keys.length > 1) await surroundings.out.json({ key, value: json });
        else await surroundings.out.line(JSON.stringify(json, undefined, 2));
      }
      const missing = keys.filter((_, index) => values[index] === undefined);
      if (missing.length > 0)
        throw new CommandError("ZOOID_NOT_FOUND", `${missing.map((key) => JSON.stringify(key)).join(", ")}: no such object`);
    });
  });
}
