import { execFileSync } from "node:child_process";

/** Number of different seeds: `seededRandom` takes 32 bits. */
export const seedsThere = 2 ** 32;

/** The commit that is checked out, or undefined where there is no Git repository. */
export function commitNow(): string | undefined {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

/** The first of the seeds of `commit`, a hash in hexadecimal. The seeds of two commits hardly ever overlap. */
export function firstSeedOf(commit: string): number {
  return Number.parseInt(commit.slice(0, 8), 16);
}

/** `count` seeds from `first` on; after the last seed comes seed 0. */
export function* seedsFrom(first: number, count: number): Generator<number> {
  for (let index = 0; index < count; index++) yield (first + index) % seedsThere;
}
