import type { View } from "../../../storage/kv/ordered-store.js";
import type { Position } from "../../../core/transaction.js";
import type { Tid } from "../../../core/index.js";
import { type Moment, History, listAt } from "../common/history.js";
import { Violation } from "../common/violation.js";

/**
 * One run of a transaction's function, as its client sees it. The values that it writes bear its name, so that every
 * value in the history shows which attempt wrote it.
 */
export interface Attempt {
  readonly name: string;
  /** One life of a client: from its opening to its kill. */
  readonly life: Life;
  readonly isSerializable: boolean;
  readonly snapshot: Moment;
  readonly reads: Set<string>;
  readonly prefixes: Set<string>;
  readonly writes: Map<string, string | undefined>;
  /** `unknown`: its client was killed, or got an error which says that the outcome cannot be known. */
  outcome: "open" | "committed" | "refused" | "unknown";
  committedAs: Moment | undefined;
}

/** Latest snapshot that a life of a client began, and its latest acknowledged commit. */
export interface Seen {
  readonly lastSnapshot: Moment | undefined;
  readonly lastCommit: Moment | undefined;
}

/** The observations of one life of a client, in order. */
export interface Life extends Seen {
  readonly client: string;
  readonly number: number;
  lastSnapshot: Moment | undefined;
  lastCommit: Moment | undefined;
  /** By key: the last of its acknowledged commits that wrote the key. */
  readonly ownWrites: Map<string, Moment>;
}

/**
 * Checks what clients see against the committed history: promises 1, 2, 3, 4, 5, 6, 7 and 8, each as early as possible.
 * It collects violations; the first one matters.
 */
export class Checker {
  readonly violations: Violation[] = [];
  readonly history: History;
  readonly counts = { attempts: 0, reads: 0, lists: 0, commits: 0, refusals: 0, unknown: 0 };
  /** How often the server's disk was replaced by an earlier copy. */
  restores = 0;
  readonly #attempts = new Map<string, Attempt>();
  readonly #never = new Map<string, { readonly since: Moment; readonly snapshot: Tid }>();

  /** `now` is the monotonic time of the world. */
  constructor(now: () => number = () => 0) {
    this.history = new History((what) => {
      this.violated(7, "the log is a chain", { what });
    }, now);
  }

  violated(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    this.violations.push(new Violation(promise, sentence, facts));
  }

  // ---- What becomes durable

  /** A batch became durable at the server. */
  durable(view: View): readonly Moment[] {
    const moments = this.history.extend(view);
    for (const moment of moments) this.#committed(moment);
    return moments;
  }

  /** A tid left the server, with its digest, in `message`. */
  sent(message: string, position: Position): void {
    if (this.history.at(position.digest)?.tid !== position.tid) {
      this.violated(7, "no tid leaves the server before it is on disk", { message, ...position });
    }
  }

  /** A tid left the server without its digest, in `message`. */
  sentTid(message: string, tid: Tid): void {
    if (tid !== this.history.beginning.tid && this.history.find(tid) === undefined) {
      this.violated(7, "no tid leaves the server before it is on disk", { message, tid });
    }
  }

  /** The server answered that transaction `id`, begun at `snapshot`, will never be committed. */
  saidNever(id: string, snapshot: Tid): void {
    this.#never.set(id, { since: this.history.head, snapshot });
    for (const moment of this.#line())
      if (moment.id === id) this.violated(8, "no transaction with the outcome never is committed", { id, tid: moment.tid });
  }

  /** Ids whose outcome was "never" in the current history, with their snapshots. */
  get never(): readonly (readonly [id: string, snapshot: Tid])[] {
    const line = new Set(this.#line());
    return [...this.#never].flatMap(([id, { since, snapshot }]) => (line.has(since) ? [[id, snapshot] as const] : []));
  }

  /** The server's disk was replaced by a copy of its state at `moment`, with the fences of that time. */
  restored(moment: Moment): void {
    this.restores++;
    this.history.restore(moment);
    this.#never.clear();
  }

  *#line(): Generator<Moment> {
    for (let at: Moment | undefined = this.history.head; at !== undefined; at = at.previous) yield at;
  }

  #committed(moment: Moment): void {
    const never = this.#never.get(moment.id);
    if (never !== undefined && this.history.leadsTo(never.since, moment)) {
      this.violated(8, "no transaction with the outcome never is committed", { id: moment.id, tid: moment.tid });
    }
    const name = authorOf(moment);
    const attempt = name === undefined ? undefined : this.#attempts.get(name);
    const facts = { transaction: moment.id, tid: moment.tid, attempt: name };
    if (attempt === undefined) {
      this.violated(8, "every committed transaction was requested", facts);
      return;
    }
    if (attempt.committedAs !== undefined && this.history.leadsTo(attempt.committedAs, moment)) {
      this.violated(8, "a transaction is committed once", { ...facts, before: attempt.committedAs.tid });
    }
    if (attempt.outcome === "refused") this.violated(8, "no refused, aborted or fenced transaction is committed", facts);
    attempt.committedAs = moment;
    for (const key of new Set([...attempt.writes.keys(), ...moment.writes.keys()])) {
      if (attempt.writes.get(key) !== moment.writes.get(key) || attempt.writes.has(key) !== moment.writes.has(key)) {
        this.violated(7, "a transaction is committed whole", {
          ...facts,
          key,
          asked: attempt.writes.get(key),
          found: moment.writes.get(key),
        });
      }
    }
    const passed = this.history.between(attempt.snapshot, moment)?.slice(1);
    if (passed === undefined) {
      this.violated(1, "a transaction commits into the history that it read", { ...facts, snapshot: attempt.snapshot.tid });
      return;
    }
    for (const other of passed) this.#checkBeside(attempt, moment, other);
  }

  /** `other` was committed between the snapshot of `attempt` and the attempt's commit as `moment`. */
  #checkBeside(attempt: Attempt, moment: Moment, other: Moment): void {
    for (const key of other.writes.keys()) {
      const facts = { attempt: attempt.name, key, snapshot: attempt.snapshot.tid, other: other.tid, tid: moment.tid };
      if (attempt.writes.has(key)) this.violated(2, "no object that a commit writes changed since its snapshot", facts);
      if (!attempt.isSerializable) continue;
      if (attempt.reads.has(key)) this.violated(3, "no object that a serializable transaction read changed before its commit", facts);
      for (const prefix of attempt.prefixes) {
        if (key.startsWith(prefix))
          this.violated(3, "no prefix that a serializable transaction listed changed before its commit", { ...facts, prefix });
      }
    }
  }

  // ---- What a client sees

  /**
   * A transaction began at `tid`, with its client at `digest`. `before`: what the life had seen when the user requested
   * it.
   */
  began(name: string, life: Life, before: Seen, tid: Tid, digest: string, isSerializable: boolean): Attempt {
    this.counts.attempts++;
    const facts = { attempt: name, snapshot: tid };
    let snapshot = this.history.named(tid, digest);
    if (snapshot === undefined) {
      this.violated(1, "a snapshot is a moment of the history", facts);
      snapshot = this.history.head;
    }
    const { lastCommit, lastSnapshot } = before;
    if (lastCommit !== undefined && this.#isBefore(snapshot, lastCommit)) {
      this.violated(1, "a snapshot is never before the client's own last commit", { ...facts, commit: lastCommit.tid });
    }
    if (lastSnapshot !== undefined && this.#isBefore(snapshot, lastSnapshot)) {
      this.violated(1, "snapshots of a client never go back", { ...facts, before: lastSnapshot.tid });
    }
    // Transactions can be requested at once: one with an earlier snapshot may be reported later.
    if (life.lastSnapshot === undefined || !this.#isBefore(snapshot, life.lastSnapshot)) life.lastSnapshot = snapshot;
    const attempt: Attempt = {
      name,
      life,
      isSerializable,
      snapshot,
      reads: new Set(),
      prefixes: new Set(),
      writes: new Map(),
      outcome: "open",
      committedAs: undefined,
    };
    this.#attempts.set(name, attempt);
    return attempt;
  }

  /** Whether `moment` is before `other`, and no restore has taken `other` back. */
  #isBefore(moment: Moment, other: Moment): boolean {
    return moment !== other && this.history.leadsTo(moment, other) && this.history.leadsTo(other, this.history.head);
  }

  /** `get(key)` gave `value`. */
  read(attempt: Attempt, key: string, value: string | undefined): void {
    this.counts.reads++;
    const expected = attempt.writes.has(key) ? attempt.writes.get(key) : attempt.snapshot.state.get(key)?.value;
    if (!attempt.writes.has(key)) attempt.reads.add(key);
    if (value === expected) return;
    const facts = { attempt: attempt.name, key, snapshot: attempt.snapshot.tid, found: value, expected };
    this.violated(1, "a read sees the state at the snapshot", { ...facts, serial: attempt.snapshot.state.get(key)?.serial });
  }

  /** `list(prefix)`, read to its end, gave `rows`. */
  listed(attempt: Attempt, prefix: string, rows: readonly (readonly [key: string, value: string])[]): void {
    this.counts.lists++;
    attempt.prefixes.add(prefix);
    const expected = new Map(listAt(attempt.snapshot, prefix));
    for (const [key, value] of attempt.writes) {
      if (!key.startsWith(prefix)) continue;
      if (value === undefined) expected.delete(key);
      else expected.set(key, value);
    }
    const sorted = [...expected].toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (JSON.stringify(rows) === JSON.stringify(sorted)) return;
    this.violated(1, "a listing sees the state at the snapshot", {
      attempt: attempt.name,
      prefix,
      snapshot: attempt.snapshot.tid,
      found: rows,
      expected: sorted,
    });
  }

  /** The client got the answer that the attempt is committed as `tid`. */
  acknowledged(attempt: Attempt, tid: Tid): void {
    attempt.outcome = "committed";
    if (attempt.writes.size === 0) return;
    this.counts.commits++;
    const moment = attempt.committedAs;
    if (moment?.tid !== tid) {
      this.violated(7, "an acknowledged commit is in the history", { attempt: attempt.name, tid, found: moment?.tid });
      return;
    }
    for (const key of moment.writes.keys()) {
      const before = attempt.life.ownWrites.get(key);
      if (before === undefined || !this.history.leadsTo(moment, before)) attempt.life.ownWrites.set(key, moment);
    }
    if (attempt.life.lastCommit === undefined || !this.history.leadsTo(moment, attempt.life.lastCommit)) attempt.life.lastCommit = moment;
  }

  /** The attempt was given up, aborted or refused: it must never be in the history. */
  refused(attempt: Attempt): void {
    this.counts.refusals++;
    attempt.outcome = "refused";
    // After a restore, the server no longer knows a transaction that the restore took back.
    if (attempt.committedAs !== undefined && this.history.leadsTo(attempt.committedAs, this.history.head)) {
      this.violated(8, "no refused, aborted or fenced transaction is committed", {
        attempt: attempt.name,
        tid: attempt.committedAs.tid,
      });
    }
  }

  /** The client will never report the outcome of the attempt. */
  forgotten(attempt: Attempt): void {
    if (attempt.outcome !== "open") return;
    this.counts.unknown++;
    attempt.outcome = "unknown";
  }

  /** A cache on disk counts `value` of `key` as current at `position`. */
  cached(client: string, position: Position, key: string, value: string | undefined): void {
    const moment = this.history.at(position.digest);
    if (moment?.tid !== position.tid) {
      this.violated(4, "a cache stands at a moment of the history", { client, ...position });
      return;
    }
    const held = moment.state.get(key);
    if (value !== held?.value) {
      const facts = { client, key, position: position.tid, found: value, expected: held?.value, serial: held?.serial };
      this.violated(4, "a cache never serves as current a value that an invalidation before its last tid replaced", facts);
    }
  }
}

/** The attempt that wrote a moment: each writes at least one value, `<attempt>.<number>`. */
function authorOf(moment: Moment): string | undefined {
  for (const value of moment.writes.values()) if (value !== undefined) return value.slice(0, value.lastIndexOf("."));
  return undefined;
}
