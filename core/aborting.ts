/** Listeners added by `onAbort`, by signal. */
const listeners = new WeakMap<AbortSignal, Set<{ readonly listener: () => void }>>();

/**
 * Calls `listener` once when `signal` aborts, or at once if it is aborted already. The returned function removes the
 * listener.
 * All listeners of a signal share one listener of Node: many calls under the signal of one request do not leak, and
 * Node 20 warns of more than ten listeners.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  const all = listeners.get(signal) ?? listenTo(signal);
  const own = { listener };
  all.add(own);
  return () => {
    if (!all.delete(own) || all.size > 0) return;
    signal.removeEventListener("abort", aborted);
    listeners.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Set<{ readonly listener: () => void }> {
  const all = new Set<{ readonly listener: () => void }>();
  listeners.set(signal, all);
  signal.addEventListener("abort", aborted, { once: true });
  return all;
}

function aborted(this: AbortSignal): void {
  const all = listeners.get(this);
  listeners.delete(this);
  if (all === undefined) return;
  for (const own of all) {
    all.delete(own);
    own.listener();
  }
}

/**
 * Resolves or rejects like `promise`. When `signal` aborts first, calls `gaveUp` and rejects with the reason of the
 * signal.
 * The work behind `promise` goes on, but its result is ignored.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined, gaveUp?: () => void): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, () => {
      gaveUp?.();
      reject(signal.reason as Error);
    });
    promise.then(
      (value) => {
        stopListening();
        resolve(value);
      },
      (error: unknown) => {
        stopListening();
        reject(error);
      },
    );
  });
}
