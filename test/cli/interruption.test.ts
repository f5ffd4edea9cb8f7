import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const command = fileURLToPath(new URL("./closing-command.ts", import.meta.url));

/** Starts the command; resolves when it is ready. */
async function started(how: string, timeoutMs: number) {
  const child = spawn(process.execPath, ["--import", "tsx", command, how, String(timeoutMs)], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const closed = once(child, "close");
  await once(child.stdout, "data");
  return { child, closed, said: text(child.stderr) };
}

test("a command that does not close within its time-out after a signal ends with the exit code of the signal", async () => {
  const { child, closed, said } = await started("never", 50);
  child.kill("SIGTERM");
  expect(await closed).toEqual([143, null]);
  expect((await said).split("\n")).toEqual(["closing", "zooid: not closed 0.05 s after SIGTERM: ending without waiting", ""]);
});

test("a command that gets two signals ends as soon as it has closed", async () => {
  const { child, closed, said } = await started("after another signal", 600_000);
  child.kill("SIGINT");
  await once(child.stderr, "data");
  child.kill("SIGTERM");
  expect(await closed).toEqual([3, null]);
  expect(await said).toBe("closing\n");
});
