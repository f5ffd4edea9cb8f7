import type { Clock } from "../../../core/index.js";
import type { Checker, Life } from "../objects/checker.js";
import type { Moment } from "../common/history.js";
import type { Reading, Seen } from "./reading.js";

/** A call of a cached function, while it is under way. */
export interface ObjectCall {
  readonly what: string;
  readonly life: Life;
  /** All up to here was applied by the client before the call. */
  readonly floor: Moment | undefined;
  /** By key: the client's own last commit of it that was acknowledged before the call. */
  readonly own: ReadonlyMap<string, Moment>;
  /** How often the server had been restored. */
  readonly restores: number;
  readonly beganMs: number;
  /** Counts all calls and failures. */
  readonly moment: number;
  /** It asks for nothing that was replaced longer ago than this before it began. */
  readonly ageMsMax: number;
}

/** What a message may take, and what a clock that ticks is behind: an age may be more by so much. */
const slackMs = 60;

/**
 * Holds results that cached functions made of objects to the committed history:
 *
 * 1. A call that begins after the client applied a transaction is given nothing that this transaction replaced; the same after a commit of
 *    its own was acknowledged, for what that commit wrote.
 * 2. What one read of the store gave is all as of one snapshot.
 * 3. What was made of a read that failed is given to those who waited for it, and to no later call.
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

  /** Something happens. */
  next(): number {
    return ++this.#moment;
  }

  /** A call begins in a client that stands at `digest`. */
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

  /** It gave `snapshot`; the client stands at `digest` now. */
  ended({ what, life, floor, own, restores, beganMs, moment, ageMsMax }: ObjectCall, reading: Reading, digest: string): void {
    this.counts.cachedResults++;
    const facts = { client: life.client, life: life.number, what };
    if (reading.failedAt !== undefined) {
      this.counts.ofFailedReads++;
      if (reading.failedAt < moment)
        this.#checker.violated(11, "what was made of a read that failed is given to no later call", { ...facts, ...reading });
    }
    const { history } = this.#checker;
    const stand = history.at(digest);
    // A restored server has taken the client back.
    if (floor === undefined || stand === undefined || restores !== this.#checker.restores || !history.leadsTo(floor, stand)) return;
    const head = history.leadsTo(stand, history.head) ? history.head : stand;
    for (const seen of reading.seen) {
      const found = newest(seen, head, floor);
      if (found === undefined) {
        const expected = seen.values.map(([key]) => [key, floor.state.get(key)?.value]);
        const sentence = "a call is given nothing that was replaced before it, here, by a transaction";
        this.#checker.violated(11, sentence, { ...facts, floor: floor.tid, seen, expected });
        return;
      }
      for (const [key, value] of seen.values) {
        const written = own.get(key);
        if (written === undefined || !history.leadsTo(floor, written) || !history.leadsTo(written, head)) continue;
        if (newest({ values: [[key, value]] }, head, written) !== undefined) continue;
        const sentence = "a call is given nothing that was replaced by a commit of the same client that was acknowledged before it";
        this.#checker.violated(11, sentence, { ...facts, key, value, committed: written.tid, expected: written.writes.get(key) });
        return;
      }
      const { replacedMs } = found;
      if (replacedMs < beganMs - ageMsMax - slackMs) {
        const ageMs = beganMs - replacedMs;
        this.#checker.violated(11, "what was read with maxStaleMs is given for no longer", { ...facts, ageMs, ageMsMax, seen });
        return;
      }
    }
  }
}

/** The newest moment from `floor` to `head` at which all of `seen` was so, by when it was replaced. */
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
