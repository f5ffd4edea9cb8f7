/** A promise and its state so far, for tests that look before it settles. */
export interface Watched<T> {
  readonly promise: Promise<T>;
  state: "waiting" | "done" | "failed";
  value?: T;
  error?: unknown;
}

export function watched<T>(promise: Promise<T>): Watched<T> {
  const seen: Watched<T> = { promise, state: "waiting" };
  promise.then(
    (value) => Object.assign(seen, { state: "done", value }),
    (error: unknown) => Object.assign(seen, { state: "failed", error }),
  );
  return seen;
}
