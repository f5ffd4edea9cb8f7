import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { root } from "../source.js";
import { temporaryFolders } from "../storage/temporary-folder.js";

const temporaryFolder = temporaryFolders();

test("README's cache example prints what README says, and ends by itself", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = /<!-- cache example -->([^]*?)<!-- \/cache example -->/.exec(readme)?.[1] ?? "";
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1] ?? "";
  const program = join(await temporaryFolder(), "main.mts");
  writeFileSync(program, block("ts").replace('"zooid/cache"', JSON.stringify(pathToFileURL(join(root, "cache.ts")).href)));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program], { cwd: root });
  expect(stdout).toBe(block("text"));
});
