import { execFileSync } from "node:child_process";

/** How many seeds there are: `seededRandom` takes 32 bits. */
export const seedsThere = 2 ** 32;

/** The commit that is checked out, or undefined where there is no Git repository. */
export function commitNow(): string | undefined {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

/** The first of the seeds that belong to `commit`, a hash in hexadecimal: those of two commits hardly ever meet. */
export function firstSeedOf(commit: string): number {
  return Number.parseInt(commit.slice(0, 8), 16);
}

/** `count` seeds from `first` on; after the last seed comes seed 0. */
export function* seedsFrom(first: number, count: number): Generator<number> {
  for (let index = 0; index < count; index++) yield (first + index) % seedsThere;
}
