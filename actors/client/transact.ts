import {
  ConflictError,
  delay,
  DisconnectedError,
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
import { abortable } from "../../core/abortable.js";
import type { ClientCore } from "./client-core.js";
import type { ClosingSignal } from "./closing.js";
import { noteFailure, noteMomentary } from "./tracked-reads.js";
import type { ObjectTransaction } from "./transaction.js";
import { retryDelay } from "../../core/backoff.js";

/** What a transaction came to. `tid`: of the commit; its snapshot when it wrote nothing. */
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
 * Runs `fn` in a transaction and commits it; begins anew, with backoff, when it conflicted or was aborted. What `fn` throws ends it.
 * A commit whose answer was lost is settled before anything is tried again, so that it is done once or not at all.
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

/** Runs `fn` at one snapshot after another until one is not pruned under it. */
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

/** `error`, which `fn` threw: unless its call was given up, then what is made of it is of the moment. Reads and commits note their own failures. */
function failed(error: unknown, { signal, ending }: Attempts): unknown {
  if (signal?.aborted === true || ending.hasCome) noteMomentary();
  return error;
}

/** Waits until another attempt is worth it. */
async function nextAttempt(core: ClientCore, error: unknown, attempt: number, deadline: number, signal?: AbortSignal): Promise<void> {
  // A request had no answer: tried again as long as a link would be waited for.
  if (error instanceof TimeoutError && (signal?.aborted === true || core.clock.monotonic() >= deadline)) throw error;
  if (error instanceof DisconnectedError) await core.connection.connected(deadline - core.clock.monotonic(), signal);
  else await delay(core.clock, retryDelay(attempt, core.random), signal);
  if (error instanceof ConflictError) await seen(core, error.current, signal);
}

/**
 * What `fn` does with `tx`, waited for until the signal aborts or the client ends: what it does afterwards meets a transaction
 * that has ended.
 */
function run<T>(fn: (tx: ObjectTransaction) => Promise<T> | T, tx: ObjectTransaction, { signal, ending }: Attempts): Promise<T> | T {
  const value = fn(tx);
  return isThenable(value) ? ending.sooner(abortable(Promise.resolve(value), signal)) : value;
}

/** A promise of whatever library: none is waited for for ever. */
function isThenable<T>(value: Promise<T> | T): value is Promise<T> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === "function";
}

/** What this transaction conflicted with is in the next snapshot, or the next attempt would conflict again. */
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

/** A signal that aborts with `signal`, and with TimeoutError after `timeoutMs`, which may be Infinity; `clear` when it is not needed any more. */
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
