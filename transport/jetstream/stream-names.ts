import { InvalidOptionError } from "../../core/index.js";

/** Fields of an answer of JetStream, unchecked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Names of the stream of one prefix, and of the subjects it lives on. */
export interface StreamNames {
  readonly stream: string;
  /** Of what is published: `tag.…`, `beat`, `epoch`. */
  readonly taken: string;
  /** Of the same when the stream repeats it, with its sequence. */
  readonly repeated: string;
  /** Where a consumer delivers to. */
  readonly replayed: string;
}

/** Names for `prefix`, letters, digits, `_` and `-`. Throws InvalidOptionError. */
export function streamNames(prefix: string): StreamNames {
  if (!/^[\w-]{1,64}$/.test(prefix)) {
    throw new InvalidOptionError({ option: "prefix", reason: "is not 1 to 64 letters, digits, _ or -" });
  }
  const base = `zooid.${prefix}`;
  return { stream: `ZOOID_${prefix}`, taken: `${base}.inv`, repeated: `${base}.upd`, replayed: `${base}.replay` };
}
