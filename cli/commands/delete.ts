import type { Command } from "commander";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid delete <key…>`: deletes objects in one transaction. */
export function addDelete(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("delete")
    .description("Deletes objects in one transaction; one that is not there is none the less deleted.")
    .argument("<key...>", "keys of the objects")
    .addHelpText(
      "after",
      `
Examples:
  $ zooid delete greeting
  $ zooid delete a b c --json`,
    );
  addConnectionOptions(command).action(async (keys: string[], flags: ConnectionFlags) => {
    await withStore(flags, surroundings, async (store) => {
      const { tid } = await store.transact(
        async (tx) => {
          for (const key of keys) await tx.delete(key);
        },
        { signal: surroundings.signal },
      );
      if (flags.json === true) await surroundings.out.json({ keys, tid });
      else await surroundings.out.line(`${keys.join(", ")} deleted by transaction ${tid}`);
    });
  });
}
