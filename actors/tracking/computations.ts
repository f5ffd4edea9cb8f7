import type { ObjectRead } from "../../core/object-read.js";
import type { Computation } from "./computation.js";

/** A cache that computes something at present. */
interface Computing {
  /** The computation that is asking, if it is one of this cache's. */
  readonly current: Computation | undefined;
}

/**
 * The caches of this process that compute something now. Object clients ask it, as they know of no cache, and caches of no client: what a
 * client reads within a computation, that computation depends on. While nothing computes that is one comparison.
 */
const computing = new Set<Computing>();

/** `cache` computes something from now on, until `endComputing`. */
export function beginComputing(cache: Computing): void {
  computing.add(cache);
}

/** `cache` computes nothing any more. */
export function endComputing(cache: Computing): void {
  computing.delete(cache);
}

/** Whether anything computes: only then can a reader be part of a computation. */
export function isAnythingComputing(): boolean {
  return computing.size > 0;
}

/** The computations that ask: one of each cache at most, those within which it runs being told by it. */
export function currentComputations(): readonly Computation[] {
  let found: Computation[] | undefined;
  for (const { current } of computing) {
    if (current === undefined) continue;
    if (found === undefined) found = [current];
    else found.push(current);
  }
  return found ?? none;
}

/** Who asks depends on `reads`. */
export function noteReads(reads: readonly ObjectRead[]): void {
  for (const { current } of computing) current?.useReads(reads);
}

const none: readonly Computation[] = [];
