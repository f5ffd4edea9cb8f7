import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { root } from "../source.js";
import { temporaryFolders } from "../storage/temporary-folder.js";

const temporaryFolder = temporaryFolders();

test("README's Fastify example prints what README says, and ends by itself", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = /<!-- fastify example -->([^]*?)<!-- \/fastify example -->/.exec(readme)?.[1] ?? "";
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1] ?? "";
  const places = {
    "zooid/cache": pathToFileURL(join(root, "cache.ts")).href,
    "zooid/fastify": pathToFileURL(join(root, "fastify.ts")).href,
  };
  const program = Object.entries({ ...places, fastify: import.meta.resolve("fastify") }).reduce(
    (text, [name, place]) => text.replaceAll(`"${name}"`, JSON.stringify(place)),
    block("ts"),
  );
  const file = join(await temporaryFolder(), "main.mts");
  writeFileSync(file, program);
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], { cwd: root });
  expect(stdout).toBe(block("text"));
});
