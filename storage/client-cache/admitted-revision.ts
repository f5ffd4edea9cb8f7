import { BehindError, MalformedMessageError, type Tid } from "../../core/index.js";

/** A revision from the answer to a load: valid in [serial, next), or in [serial, as-of] when `next` is undefined. */
export interface AdmittedRevision {
  readonly serial: Tid;
  /** Undefined: absent. */
  readonly value: Uint8Array | undefined;
  readonly next: Tid | undefined;
}

/**
 * Throws BehindError or MalformedMessageError when `revision`, which is as of `asOf`, cannot be the answer to a load at
 * `snapshot`.
 */
export function checkAdmitted({ serial, next }: AdmittedRevision, snapshot: Tid, asOf: Tid): void {
  if (asOf < snapshot) throw new BehindError({ snapshot, last: asOf });
  if (serial > snapshot || (next !== undefined && (next <= snapshot || next > asOf))) {
    throw new MalformedMessageError({ what: "answer to a load", reason: "its revision does not belong to the snapshot" });
  }
}
