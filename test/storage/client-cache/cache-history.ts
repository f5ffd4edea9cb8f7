import type { AdmittedRevision } from "../../../storage/client-cache/client-cache.js";
import type { Position } from "../../../core/transaction.js";
import { encodeValue, type Tid } from "../../../core/index.js";

/**
 * A history that is the same in every process: transaction n touches a few of these keys, and each value contains its
 * serial.
 */
export const historyKeys: readonly string[] = Array.from({ length: 60 }, (_, n) => `key/${n}`);

export function positionAt(tid: Tid): Position {
  return { tid, digest: `digest-${tid}` };
}

export function touchedAt(tid: number): readonly string[] {
  return historyKeys.filter((_, index) => touches(tid, index));
}

/** Serial and value of `key` at `snapshot`, as a server at `asOf` returns them. Every fifth transaction deletes. */
export function revisionAt(key: string, snapshot: number, asOf: number): AdmittedRevision {
  const index = historyKeys.indexOf(key);
  let serial = snapshot;
  while (serial > 0 && !touches(serial, index)) serial--;
  let next = snapshot + 1;
  while (next <= asOf && !touches(next, index)) next++;
  return { serial: serial as Tid, value: valueOf(key, serial), next: next <= asOf ? (next as Tid) : undefined };
}

function touches(tid: number, index: number): boolean {
  return (Math.imul(tid, 2_654_435_761) >>> 8) % 20 === index % 20 || (tid + index) % 37 === 0;
}

function valueOf(key: string, serial: number): Uint8Array | undefined {
  return serial === 0 || serial % 5 === 0 ? undefined : encodeValue({ key, serial, text: "x".repeat(serial % 300) });
}
