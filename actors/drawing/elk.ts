/** ELK, the layout engine of the package elkjs, in a thread of its own: nothing can interrupt its code. */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { ElkNode, LayoutOptions } from "elkjs/lib/elk-api.js";
import { backgroundClock, errorText, limits, onAbort, systemClock } from "../../core/index.js";

/** The program of the thread. It is a text, because a bundler or a loader of TypeScript would not find a file. */
const program = `
const { parentPort, workerData } = require("node:worker_threads");
const ELK = require(workerData);
const elk = new ELK({ algorithms: ["layered"] });
parentPort.on("message", ({ graph, layoutOptions }) => {
  elk.layout(graph, { layoutOptions }).then(
    (placed) => parentPort.postMessage({ placed }),
    (error) => parentPort.postMessage({ failure: String(error?.message ?? error) }),
  );
});`;

/** An answer of the thread to a graph. */
type Answer = { readonly placed: ElkNode } | { readonly failure: string };

/** A layout failed, for the reason in its message. */
export class LayoutFailure extends Error {
  override readonly name = "LayoutFailure";
  /** Other options may help: ELK itself failed. */
  readonly dependsOnOptions: boolean;

  constructor(reason: string, { dependsOnOptions = false } = {}) {
    super(reason);
    this.dependsOnOptions = dependsOnOptions;
  }
}

/** The thread starts with the first layout, and ends soon after the last one. */
let thread: Worker | undefined;
/** One layout runs after the other, so that the time of each counts from its own beginning. */
let last: Promise<unknown> = Promise.resolve();
let idleTimer: unknown;
const idleClock = backgroundClock(systemClock);

/**
 * `graph` with places. `layoutOptions` hold for each level of it. Rejects with LayoutFailure, or with the reason of
 * `signal` when that aborts.
 */
export function layOutGraph(graph: ElkNode, layoutOptions: LayoutOptions, signal?: AbortSignal): Promise<ElkNode> {
  const placed = last.then(() => placedInThread(graph, layoutOptions, signal));
  last = placed.catch(() => undefined);
  return placed;
}

async function placedInThread(graph: ElkNode, layoutOptions: LayoutOptions, signal?: AbortSignal): Promise<ElkNode> {
  signal?.throwIfAborted();
  idleClock.clearTimeout(idleTimer);
  const worker = (thread ??= startedThread());
  const end = (): void => {
    if (thread === worker) thread = undefined;
    void worker.terminate();
  };
  worker.ref();
  try {
    const answer = await answerOf(worker, { graph, layoutOptions }, signal);
    if ("failure" in answer) throw new LayoutFailure(`elkjs failed: ${answer.failure}`, { dependsOnOptions: true });
    return answer.placed;
  } catch (error) {
    // The next layout gets a new thread: the state of this one is unknown.
    end();
    throw error;
  } finally {
    worker.unref();
    idleTimer = idleClock.setTimeout(end, limits.layoutThreadIdleMs);
  }
}

/** Resolves with the answer of `worker`. Rejects with LayoutFailure when there is none in time, or as `signal` says. */
function answerOf(worker: Worker, question: object, signal: AbortSignal | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const failWith = (error: unknown): void => {
      settled();
      reject(error);
    };
    const fail = (reason: string): void => failWith(new LayoutFailure(reason));
    const onMessage = (answer: Answer): void => {
      settled();
      resolve(answer);
    };
    const onError = (error: Error): void => fail(`its layout failed: ${errorText(error)}`);
    const onExit = (): void => fail("the thread of its layout has ended");
    const timer = systemClock.setTimeout(() => fail(`its layout takes longer than ${limits.layoutMsMax / 1_000} s`), limits.layoutMsMax);
    const stopListening = signal === undefined ? undefined : onAbort(signal, () => failWith(signal.reason));
    const settled = (): void => {
      systemClock.clearTimeout(timer);
      stopListening?.();
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
    };
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage(question);
  });
}

function startedThread(): Worker {
  const worker = new Worker(program, {
    eval: true,
    workerData: createRequire(import.meta.url).resolve("elkjs/lib/elk.bundled.js"),
    // Flags of the process, such as a loader of TypeScript, are not for this thread.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: limits.layoutHeapBytesMax / (1024 * 1024) },
  });
  // A thread that ends between two layouts has failed no layout.
  worker.on("error", () => undefined);
  worker.on("exit", () => {
    if (thread === worker) thread = undefined;
  });
  return worker;
}
