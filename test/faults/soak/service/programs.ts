import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "../../../support/source.js";

/** The programs of a soak. */
const programs = [
  "test/faults/soak/service/probe.ts",
  "test/faults/soak/service/service.ts",
  "test/faults/soak/service/clients.ts",
  "cli/zooid.ts",
];

/**
 * Builds the programs into a new folder inside the project, where they find the packages. They start faster than from
 * TypeScript, and hold only their own work in memory. The caller removes the folder.
 */
export async function buildPrograms(): Promise<string> {
  await mkdir(join(root, ".cache"), { recursive: true });
  const folder = await mkdtemp(join(root, ".cache", "soak-"));
  await build({
    entryPoints: Object.fromEntries(programs.map((path) => [path.replace(/.*\/|\.ts$/g, ""), join(root, path)])),
    outdir: folder,
    bundle: true,
    splitting: true,
    packages: "external",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
  return folder;
}
