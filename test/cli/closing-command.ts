/**
 * A command that a signal ends: `node closing-command.ts <how> <timeout in ms>`. Prints `ready` once it handles
 * signals.
 */
import process from "node:process";
import { Interruption } from "../../cli/interruption.js";

const [, , how, timeoutMs] = process.argv;
const say = (line: string) => void process.stderr.write(`${line}\n`);
const interruption = new Interruption({ say, late: () => undefined, closeTimeoutMs: Number(timeoutMs) });
interruption.signal.addEventListener("abort", () => {
  say("closing");
});
const alive = setInterval(() => undefined, 60_000);
await new Promise<void>((closed) => {
  let signals = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => ++signals === 2 && how === "after another signal" && closed());
  process.stdout.write("ready\n");
});
clearInterval(alive);
interruption.closed();
process.exitCode = 3;
