import {
  ConflictError,
  delay,
  DisconnectedError,
  isThenable,
  limits,
  onAbort,
  ServerBusyError,
  SnapshotTooOldError,
  TimeoutError,
  TransactionAbortedError,
  TransactionTimedOutError,
  type Clock,
  type Tid,
} from "../../core/index.js";
import { abortable } from "../../core/aborting.js";
import type { ClientCore } from "./client-core.js";
import type { ClosingSignal } from "./closing.js";
import { noteFailure, noteMomentary } from "./tracked-reads.js";
import type { ObjectTransaction } from "./transaction.js";
import { retryDelay } from "../../core/backoff.js";

/** Result of a transaction. `tid`: the tid of its commit, or its snapshot when it wrote nothing. */
export interface Transacted<T> {
  readonly value: T;
  readonly tid: Tid;
}

export interface Attempts {
  readonly attemptsMax: number;
  readonly signal: AbortSignal | undefined;
  readonly ending: ClosingSignal;
  /** Begins a transaction at a new snapshot. */
  readonly begin: () => Promise<ObjectTransaction>;
}

/**
 * Runs `fn` in a transaction and commits it. If the transaction conflicted or was aborted, runs `fn` again in a new
 * one, with backoff. Any other error that `fn` throws ends it. A commit whose answer was lost is settled before the
 * next attempt, so that it is done once or not at all.
 */
export async function transactWith<T>(
  core: ClientCore,
  attempts: Attempts,
  fn: (tx: ObjectTransaction) => Promise<T> | T,
): Promise<Transacted<T>> {
  const deadline = core.clock.monotonic() + core.waitTimeoutMs;
  for (let attempt = 1; ; attempt++) {
    const tx = await attempts.begin();
    try {
      const value = await run(fn, tx, attempts);
      const tid = await tx.commit();
      return { value, tid };
    } catch (error) {
      if (attempt >= attempts.attemptsMax || !isWorthAnother(error)) throw failed(error, attempts);
      await noteFailure(nextAttempt(core, error, attempt, deadline, attempts.signal));
    } finally {
      tx.end();
    }
  }
}

/** Runs `fn` at a snapshot. If the snapshot is pruned meanwhile, runs `fn` again at a new one. */
export async function readWith<T>(
  attempts: Attempts,
  fn: (tx: ObjectTransaction) => Promise<T> | T,
): Promise<{ readonly value: T; readonly snapshot: Tid; readonly loads: number }> {
  for (let attempt = 1; ; attempt++) {
    const tx = await attempts.begin();
    try {
      const value = await run(fn, tx, attempts);
      return { value, snapshot: tx.snapshot, loads: tx.loads };
    } catch (error) {
      if (attempt >= attempts.attemptsMax || !(error instanceof SnapshotTooOldError)) throw failed(error, attempts);
    } finally {
      tx.end();
    }
  }
}

/**
 * Returns `error`, which ended the call. If the call was aborted or the client ended, the results of the calling
 * computations are not kept. Reads and commits note their own failures.
 */
function failed(error: unknown, { signal, ending }: Attempts): unknown {
  if (signal?.aborted === true || ending.hasCome) noteMomentary();
  return error;
}

/** Waits until another attempt is worth it. */
async function nextAttempt(core: ClientCore, error: unknown, attempt: number, deadline: number, signal?: AbortSignal): Promise<void> {
  // After a request without an answer, try again for as long as a call would wait for a link.
  if (error instanceof TimeoutError && (signal?.aborted === true || core.clock.monotonic() >= deadline)) throw error;
  if (error instanceof DisconnectedError) await core.connection.connected(deadline - core.clock.monotonic(), signal);
  else await delay(core.clock, retryDelay(attempt, core.random), signal);
  if (error instanceof ConflictError) await seen(core, error.current, signal);
}

/**
 * Runs `fn` with `tx`. Waits for its result until the signal aborts or the client ends: if `fn` continues after that,
 * its transaction has ended.
 */
function run<T>(fn: (tx: ObjectTransaction) => Promise<T> | T, tx: ObjectTransaction, { signal, ending }: Attempts): Promise<T> | T {
  const value = fn(tx);
  return isThenable(value) ? ending.sooner(abortable(Promise.resolve(value), signal)) : value;
}

/**
 * Waits until the next snapshot contains the conflicting transaction. Otherwise the next attempt would conflict again.
 */
async function seen(core: ClientCore, tid: Tid, signal: AbortSignal | undefined): Promise<void> {
  await core.reached(tid, limits.retryDelayMsMax, signal).catch((error: unknown) => {
    if (!(error instanceof DisconnectedError || error instanceof TimeoutError)) throw error;
  });
}

function isWorthAnother(error: unknown): boolean {
  return (
    error instanceof ConflictError ||
    error instanceof SnapshotTooOldError ||
    error instanceof TransactionAbortedError ||
    error instanceof TransactionTimedOutError ||
    error instanceof ServerBusyError ||
    error instanceof DisconnectedError ||
    error instanceof TimeoutError
  );
}

/**
 * Returns a signal that aborts with `signal`, and with TimeoutError after `timeoutMs`, which may be Infinity. Call
 * `clear` when the signal is no longer needed.
 */
export function deadlineSignal(
  clock: Clock,
  what: string,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
): { readonly signal: AbortSignal | undefined; readonly clear: () => void } {
  if (timeoutMs === undefined || timeoutMs === Infinity) return { signal, clear: () => undefined };
  const controller = new AbortController();
  const timer = clock.setTimeout(() => controller.abort(new TimeoutError({ what, timeoutMs })), timeoutMs);
  const stopListening = signal && onAbort(signal, () => controller.abort(signal.reason));
  const clear = () => {
    clock.clearTimeout(timer);
    stopListening?.();
  };
  return { signal: controller.signal, clear };
}
