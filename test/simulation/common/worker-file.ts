import { build } from "esbuild";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** One JavaScript file with all code that a worker runs, and the way to remove it. */
export interface WorkerFile {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Builds the worker. The code that tsx adds to each function costs a tenth of a run's time. Also, a long run keeps the
 * code that it began with when the sources change.
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
