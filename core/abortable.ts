import { onAbort } from "./index.js";

/**
 * `promise`, unless `signal` aborts first: then its reason, and `gaveUp` is called before. What was begun goes on, and nobody asks for its
 * end any more.
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
