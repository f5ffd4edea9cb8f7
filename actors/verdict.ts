import type { ObjectStore, Position } from "../storage/object-store.js";
import { tidMinus } from "../words/index.js";
import type { Verdict, Verify } from "./messages.js";

/**
 * What is to become of a cache that has applied everything up to `position`, and holds what was true at `asOf`.
 * Source: DESIGN "Verification"; INTERLEAVINGS A10.
 */
export function verdictOn(store: ObjectStore, { position, asOf }: Pick<Verify, "position" | "asOf">, invalidationAgeMs: number): Verdict {
  const last = store.position;
  const of = (type: Verdict["type"]): Verdict => ({ type, position: last });
  if (isOfOtherHistory(store, position) || isOfOtherHistory(store, asOf)) return of("otherHistory");
  if (position.tid > last.tid || asOf.tid > last.tid) return of("behind");
  if (position.tid === last.tid) return of("upToDate");
  if (store.queueHas(position.tid)) return of("replay");
  const isInLog = position.tid >= store.historyFloor;
  const isYoung = position.tid >= tidMinus(last.tid, invalidationAgeMs);
  return of(isInLog && isYoung ? "replay" : "discard");
}

/** The store has passed `position` without it, or has its tid with another digest. What was pruned cannot be told. */
function isOfOtherHistory(store: ObjectStore, position: Position): boolean {
  if (position.tid > store.position.tid) return false;
  const digest = store.digestAt(position.tid);
  return digest === undefined ? position.tid >= store.historyFloor : digest !== position.digest;
}
