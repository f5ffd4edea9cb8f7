/**
 * A bug: a condition the code relies on did not hold. It stops the actor it happens in, and is never caught to go on.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Throws AssertionError unless `condition` is true. `sentence` is positive: it states one fact that holds unless the
 * code is wrong. Always on.
 */
export function assert(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new AssertionError(`does not hold: ${sentence}`);
}

/** Ends a switch over a union: the compiler refuses it while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`does not hold: the switch covers ${JSON.stringify(value)}`);
}
