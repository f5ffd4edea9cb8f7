/**
 * A parent watchdog: this process ends when its standard input does, as it does when the process at the other end of the pipe is
 * gone, however it went. Preloaded (`node --import parent-watchdog.js program.js`), it is the program itself that ends; run as
 * `node parent-watchdog.js command …`, it holds a command that is not a Node program.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Time to close properly, for a process whose supervisor is gone. */
const parentGraceMs = 3_000;

let letGo = (): void => {
  setTimeout(() => process.exit(1), parentGraceMs).unref();
  process.kill(process.pid, "SIGTERM");
};

const [, program, command, ...parts] = process.argv;
if (command !== undefined && program !== undefined && isThisFile(program)) hold(command, parts);

process.stdin.on("end", () => letGo());
process.stdin.on("error", () => letGo());
process.stdin.resume();
// A program that has nothing more to do ends, watched or not.
(process.stdin as { unref?: () => void }).unref?.();

function hold(held: string, flags: readonly string[]): void {
  const child = spawn(held, flags, { stdio: ["ignore", "inherit", "inherit"] });
  letGo = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), parentGraceMs).unref();
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`zooid: ${held} cannot be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code) => {
    process.exitCode = code ?? 1;
    process.stdin.destroy();
  });
}

function isThisFile(path: string): boolean {
  return path.replace(/\.[jt]s$/, "") === fileURLToPath(import.meta.url).replace(/\.[jt]s$/, "");
}
