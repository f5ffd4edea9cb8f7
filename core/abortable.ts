import { onAbort } from "./aborting.js";

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
