import { build } from "esbuild";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** One file of JavaScript with all that a worker runs, and how to remove it. */
export interface WorkerFile {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Builds the worker. What tsx does to each function costs a tenth of a run's time; and a long run stays with the code that it began
 * with, however the sources change meanwhile.
 */
export async function buildWorker(): Promise<WorkerFile> {
  const path = fileURLToPath(new URL(`../../../.cache/simulation/worker-${process.pid}.mjs`, import.meta.url));
  await build({
    entryPoints: [fileURLToPath(new URL("./worker.ts", import.meta.url))],
    outfile: path,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
  return { path, remove: () => rm(path, { force: true }) };
}
