/**
 * Loaded before a program of the soak. Reports the memory of the process to the driver, and ends the process with the
 * driver.
 */
import { getHeapCodeStatistics, writeHeapSnapshot } from "node:v8";

/** Requests of the driver to every process. */
export type ProbeAsk =
  { readonly type: "measure"; readonly number: number } | { readonly type: "snapshot"; readonly number: number; readonly file: string };

/** Memory of a process after garbage collection, in bytes. */
export interface Measured {
  /** Without V8's compiled code, which grows as long as V8 finds something to optimize. */
  readonly heap: number;
  readonly code: number;
  readonly external: number;
  readonly rss: number;
  /** Open sockets, files and timers, which keep an event loop alive. */
  readonly handles: number;
}

export interface ProbeAnswer {
  readonly type: "probed";
  readonly number: number;
  readonly measured: Measured;
}

function measure(): Measured {
  const { gc } = globalThis as { gc?: () => void };
  // The first collection leaves freed buffers to another thread; the second waits for that thread.
  gc?.();
  gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const { code_and_metadata_size: compiled, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  const code = compiled + bytecode;
  return { heap: heapUsed - code, code, external, rss, handles: process.getActiveResourcesInfo().length };
}

process.on("message", (ask: ProbeAsk) => {
  if (ask.type !== "measure" && ask.type !== "snapshot") return;
  if (ask.type === "snapshot") writeHeapSnapshot(ask.file);
  const answer: ProbeAnswer = { type: "probed", number: ask.number, measured: measure() };
  process.send?.(answer);
});
// The probe must not keep the program alive.
process.channel?.unref();
process.once("disconnect", () => process.exit());
