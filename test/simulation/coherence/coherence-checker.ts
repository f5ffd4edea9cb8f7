import type { Clock } from "../../../core/index.js";
import type { Checker, Life } from "../objects/checker.js";
import type { Moment } from "../common/history.js";
import type { Reading, Seen } from "./reading.js";

/** A call of a cached function in progress. */
export interface ObjectCall {
  readonly what: string;
  readonly life: Life;
  /** The client had applied everything up to this moment before the call. */
  readonly floor: Moment | undefined;
  /** By key: the client's own last commit that wrote it and was acknowledged before the call. */
  readonly own: ReadonlyMap<string, Moment>;
  /** How often the server had been restored by then. */
  readonly restores: number;
  readonly beganMs: number;
  /** Counts all calls and failures. */
  readonly moment: number;
  /** The call accepts no value that was replaced longer ago than this before it began. */
  readonly ageMsMax: number;
}

/** Allowance for an age: the delay of a message, and the lag of a clock that is read in ticks. */
const slackMs = 60;

/**
 * Checks results that cached functions made of objects against the committed history:
 *
 * 1. A call that begins after the client applied a transaction gets nothing that the transaction replaced. After an
 *    acknowledgement of the client's own commit, the same holds for the keys that the commit wrote.
 * 2. All values of one read of the store are as of one snapshot.
 * 3. A result made of a failed read goes to the callers that waited for it, and to no later call.
 * 4. A result read with `maxStaleMs` is given for no longer.
 */
export class CoherenceChecker {
  readonly counts = { cachedCalls: 0, cachedResults: 0, ofFailedReads: 0 };
  readonly #checker: Checker;
  readonly #clock: Clock;
  #moment = 0;

  constructor(checker: Checker, clock: Clock) {
    this.#checker = checker;
    this.#clock = clock;
  }

  /** Counts one more moment and returns it. */
  next(): number {
    return ++this.#moment;
  }

  /** A call begins in a client whose position has `digest`. */
  began(what: string, life: Life, digest: string, ageMsMax: number): ObjectCall {
    this.counts.cachedCalls++;
    return {
      what,
      life,
      floor: this.#checker.history.at(digest),
      own: new Map(life.ownWrites),
      restores: this.#checker.restores,
      beganMs: this.#clock.monotonic(),
      moment: this.next(),
      ageMsMax,
    };
  }

  /** The call gave `reading`. The client's position has `digest` now. */
  ended({ what, life, floor, own, restores, beganMs, moment, ageMsMax }: ObjectCall, reading: Reading, digest: string): void {
    this.counts.cachedResults++;
    const facts = { client: life.client, life: life.number, what };
    if (reading.failedAt !== undefined) {
      this.counts.ofFailedReads++;
      if (reading.failedAt < moment)
        this.#checker.violated(11, "a result made of a failed read is given to no later call", { ...facts, ...reading });
    }
    const { history } = this.#checker;
    const stand = history.at(digest);
    // A restored server has taken back transactions that the client had applied.
    if (floor === undefined || stand === undefined || restores !== this.#checker.restores || !history.leadsTo(floor, stand)) return;
    const head = history.leadsTo(stand, history.head) ? history.head : stand;
    for (const seen of reading.seen) {
      const found = newest(seen, head, floor);
      if (found === undefined) {
        const expected = seen.values.map(([key]) => [key, floor.state.get(key)?.value]);
        const sentence = "a call gets nothing that an applied transaction replaced before it";
        this.#checker.violated(11, sentence, { ...facts, floor: floor.tid, seen, expected });
        return;
      }
      for (const [key, value] of seen.values) {
        const written = own.get(key);
        if (written === undefined || !history.leadsTo(floor, written) || !history.leadsTo(written, head)) continue;
        if (newest({ values: [[key, value]] }, head, written) !== undefined) continue;
        const sentence = "a call gets nothing that an acknowledged commit of its own client replaced before it";
        this.#checker.violated(11, sentence, { ...facts, key, value, committed: written.tid, expected: written.writes.get(key) });
        return;
      }
      const { replacedMs } = found;
      if (replacedMs < beganMs - ageMsMax - slackMs) {
        const ageMs = beganMs - replacedMs;
        this.#checker.violated(11, "a result read with maxStaleMs is not given for longer", { ...facts, ageMs, ageMsMax, seen });
        return;
      }
    }
  }
}

/**
 * The newest moment from `floor` to `head` at which all of `seen` was true: gives the time at which it was replaced.
 */
function newest(seen: Seen, head: Moment, floor: Moment): { readonly replacedMs: number } | undefined {
  let replacedMs = Infinity;
  for (let at: Moment | undefined = head; at !== undefined; at = at.previous) {
    if (isSo(seen, at)) return { replacedMs };
    if (at === floor) return undefined;
    replacedMs = at.atMs;
  }
  return undefined;
}

function isSo({ values, prefix }: Seen, { state }: Moment): boolean {
  if (!values.every(([key, value]) => state.get(key)?.value === value)) return false;
  if (prefix === undefined) return true;
  for (const [key, { value }] of state) {
    if (value !== undefined && key.startsWith(prefix) && !values.some(([seen]) => seen === key)) return false;
  }
  return true;
}
