import type { ObjectRead } from "../../core/object-read.js";
import type { Computation } from "./computation.js";

/** A cache that is computing now. */
interface Computing {
  /** The running computation of this cache that the caller is in; undefined if there is none. */
  readonly current: Computation | undefined;
}

/**
 * The caches of this process that are computing now. Object clients ask this set, because they know no cache and caches
 * know no client: if a client reads within a computation, the computation depends on the read. While nothing computes,
 * the cost is one comparison.
 */
const computing = new Set<Computing>();

/** `cache` is computing from now on, until `endComputing`. */
export function beginComputing(cache: Computing): void {
  computing.add(cache);
}

/** `cache` is not computing any more. */
export function endComputing(cache: Computing): void {
  computing.delete(cache);
}

/** Whether any cache computes. Only then can a reader be part of a computation. */
export function isAnythingComputing(): boolean {
  return computing.size > 0;
}

/**
 * The computations that the caller runs in: at most one of each cache. A computation passes its dependencies on to its
 * outer ones.
 */
export function currentComputations(): readonly Computation[] {
  let found: Computation[] | undefined;
  for (const { current } of computing) {
    if (current === undefined) continue;
    if (found === undefined) found = [current];
    else found.push(current);
  }
  return found ?? none;
}

/** Adds `reads` to the dependencies of the computations that the caller runs in. */
export function noteReads(reads: readonly ObjectRead[]): void {
  for (const { current } of computing) current?.useReads(reads);
}

const none: readonly Computation[] = [];
