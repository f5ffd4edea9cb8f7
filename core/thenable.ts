/**
 * Whether `value` can be awaited: a promise of any kind, or an object that only has `then`, like the queries of some
 * databases.
 */
export function isThenable<T>(value: PromiseLike<T> | T): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && typeof (value as { readonly then?: unknown }).then === "function";
}
