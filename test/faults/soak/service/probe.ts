/** Loaded before a program of the soak: tells the driver how much memory the process takes, and ends it with the driver. */
import { getHeapCodeStatistics, writeHeapSnapshot } from "node:v8";

/** What the driver asks of every process. */
export type ProbeAsk =
  { readonly type: "measure"; readonly number: number } | { readonly type: "snapshot"; readonly number: number; readonly file: string };

/** What a process takes, after garbage was collected; bytes. */
export interface Measured {
  /** Without what V8 has compiled, which grows for as long as it finds something to optimize. */
  readonly heap: number;
  readonly code: number;
  readonly external: number;
  readonly rss: number;
  /** Open sockets, files and timers: what keeps an event loop alive. */
  readonly handles: number;
}

export interface ProbeAnswer {
  readonly type: "probed";
  readonly number: number;
  readonly measured: Measured;
}

function measure(): Measured {
  const { gc } = globalThis as { gc?: () => void };
  // The first collection leaves freed buffers to another thread; the second waits for it.
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
// The program alone decides how long it runs.
process.channel?.unref();
process.once("disconnect", () => process.exit());
