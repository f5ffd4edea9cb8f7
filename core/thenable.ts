/** Whether `value` can be waited for: a promise of whatever kind, or what only looks like one, as queries of databases do. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { readonly then?: unknown }).then === "function";
}
