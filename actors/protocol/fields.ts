/** Parts that several messages share. All functions that read throw MalformedMessageError. */
import { limits, MalformedMessageError, type KeyRange } from "../../core/index.js";
import * as shape from "./checks.js";
import type * as m from "./messages.js";

/** A position, from its two fields. */
export function position(tid: unknown, digest: unknown, what: string): m.Position {
  return { tid: shape.tid(tid, `${what}.tid`), digest: shape.digest(digest, `${what}.digest`) };
}

/** A transaction's place in the chain. Tids rise along the chain. */
export function link(previous: unknown, tid: unknown, digest: unknown, what: string): m.Committed {
  const read = {
    previous: shape.tid(previous, `${what}.previous`),
    tid: shape.tid(tid, `${what}.tid`),
    digest: shape.digest(digest, `${what}.digest`),
  };
  if (read.tid <= read.previous) throw new MalformedMessageError({ what, reason: "does not follow its predecessor" });
  return read;
}

/** A range, from its two fields. */
export function range(from: unknown, to: unknown, what: string): KeyRange {
  return { from: shape.bound(from, what), to: to === null ? undefined : shape.bound(to, what) };
}

/** The fields of an invalidation, as they are sent. */
export function invalidationFields(each: m.Invalidation): readonly unknown[] {
  return [each.previous, each.tid, each.digest, each.keyCount, each.keys ?? null];
}

/** The invalidation, from the fields that `invalidationFields` wrote. */
export function invalidation(value: unknown): m.Invalidation {
  const [previous, tid, digest, keyCount, keys] = shape.fields(value, "invalidation", 5);
  return {
    ...link(previous, tid, digest, "invalidation"),
    keyCount: shape.count(keyCount, "invalidation.keyCount"),
    keys: keys === null ? undefined : shape.keys(keys, "invalidation.keys", limits.transactionKeysMax),
  };
}
