import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { CommandError } from "../failure.js";
import { printable } from "../printable.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid delete <key…>`: deletes objects in one transaction. */
export function addDelete(program: CliCommand, surroundings: Surroundings): void {
  const command = program.command("delete").description("Deletes objects in one transaction.").argument("<key...>", "keys of the objects")
    .notes(`
Deletes those that exist. Ends with exit code 1 if a key does not exist.

Examples:
  $ zooid delete greeting
  $ zooid delete a b c --json`);
  addConnectionOptions(command).action(async (keys: string[], flags: ConnectionFlags) => {
    await withStore(flags, surroundings, async (store) => {
      const { value: deleted, tid } = await store.transact(
        async (tx) => {
          const values = await tx.getMany(keys);
          const there = [...new Set(keys.filter((_, index) => values[index] !== undefined))];
          for (const key of there) await tx.delete(key);
          return there;
        },
        { signal: surroundings.signal },
      );
      const missing = keys.filter((key) => !deleted.includes(key));
      if (deleted.length > 0) {
        if (flags.json === true) await surroundings.out.json({ keys: deleted, tid });
        else await surroundings.out.line(`${deleted.map(printable).join(", ")} deleted by transaction ${tid}`);
      }
      if (missing.length > 0)
        throw new CommandError("ZOOID_NOT_FOUND", `${missing.map((key) => JSON.stringify(key)).join(", ")}: no such object`);
    });
  });
}
