/**
 * A parent watchdog: it ends this process when standard input ends, which happens when the parent process is gone for
 * any reason. Preload it into a Node program (`node --import parent-watchdog.js program.js`), or run another command
 * under it (`node parent-watchdog.js command …`).
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Time to close properly after the parent is gone. */
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
// The watchdog must not keep a finished program alive.
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
