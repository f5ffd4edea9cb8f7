import { InvalidOptionError } from "../../core/index.js";

/** Fields of an answer of JetStream, unchecked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Names of the stream of one prefix, and of its subjects. */
export interface StreamNames {
  readonly stream: string;
  /** Base of the subjects that are published on: `tag.…`, `beat`, `epoch`. */
  readonly taken: string;
  /** Base of the subjects on which the stream repeats these messages, with their sequence. */
  readonly repeated: string;
  /** Base of the subjects that a consumer delivers to. */
  readonly replayed: string;
}

/** Names for `prefix`: letters, digits, `_` and `-`. Throws InvalidOptionError. */
export function streamNames(prefix: string): StreamNames {
  if (!/^[\w-]{1,64}$/.test(prefix)) {
    throw new InvalidOptionError({ option: "prefix", reason: "is not 1 to 64 letters, digits, _ or -" });
  }
  const base = `zooid.${prefix}`;
  return { stream: `ZOOID_${prefix}`, taken: `${base}.inv`, repeated: `${base}.upd`, replayed: `${base}.replay` };
}
