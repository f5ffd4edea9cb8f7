import { systemClock } from "../../core/index.js";
import type { CliCommand } from "../command.js";
import { addConnectionOptions, type ConnectionFlags } from "../connection.js";
import { rowToLine } from "../ndjson.js";
import { Progress, progressLine } from "../progress.js";
import { progressDisplay } from "../progress-display.js";
import { withStore } from "../store.js";
import type { Surroundings } from "../surroundings.js";

/** `zooid export [prefix]`: writes objects as NDJSON, all of one snapshot. */
export function addExport(program: CliCommand, surroundings: Surroundings): void {
  const command = program
    .command("export")
    .description("Writes objects as NDJSON to standard output, all of one moment.")
    .argument("[prefix]", "beginning of the keys; all when not given", "").notes(`
Transactions that commit while it runs are not in it. A line is {"key": …, "value": …}, in the order of the keys; \`zooid import\` reads it.

Examples:
  $ zooid export > everything.ndjson
  $ zooid export city/AD/ | head
  $ zooid export | gzip > backup.ndjson.gz`);
  addConnectionOptions(command).action(async (prefix: string, flags: ConnectionFlags) => {
    const { out, signal, say } = surroundings;
    await withStore(flags, surroundings, async (store) => {
      const display = progressDisplay(say, flags.json === true);
      const progress = new Progress({ clock: systemClock, ...display });
      const { asOf } = await store.read(
        async (tx) => {
          for await (const [key, value] of tx.list(prefix)) {
            signal.throwIfAborted();
            const line = rowToLine({ key, value });
            await out.line(line);
            progress.countRows(1, Buffer.byteLength(line) + 1);
          }
        },
        { signal },
      );
      display.end();
      const report = progress.current();
      if (flags.json === true) say(JSON.stringify({ event: "exported", asOf, ...report }));
      else say(`${progressLine(report)}, as of ${asOf}`);
    });
  });
}
