import { randomBytes } from "node:crypto";

/** Randomness as an interface: identifiers and jitter come from it, so that one seed decides a simulation. */
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** A unique identifier: 16 characters of `0-9a-f`, safe in a subject and in a file name. */
  id(): string;
}

const idBytes = 8;
/**
 * The system gives random bytes for many ids at a time: one request for each id would cost more than the rest of a
 * transaction's work here.
 */
const idsDrawn = 512;
let drawn: Buffer = Buffer.alloc(0);
let used = 0;

/** Randomness of the process. */
export const systemRandom: Random = {
  fraction: () => Math.random(),
  id: () => {
    if (used === drawn.length) {
      drawn = randomBytes(idsDrawn * idBytes);
      used = 0;
    }
    used += idBytes;
    return drawn.toString("hex", used - idBytes, used);
  },
};

/** Randomness that depends on `seed` alone: the same seed always gives the same sequence (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const hex = (): string => word().toString(16).padStart(8, "0");
  return { fraction: () => word() / 0x1_0000_0000, id: () => hex() + hex() };
}
