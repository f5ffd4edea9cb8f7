/** An invalidation that a stream took. */
export interface Logged {
  readonly sequence: number;
}

/**
 * What a stream took, in its order, under numbers that it gave once. A stream that loses its end gives the numbers after it again: from there on
 * it writes another log, which begins with what is left.
 */
export class StreamLog<T extends Logged> {
  readonly taken: T[];
  /** The log that this one goes on from, and up to where both are the same. */
  readonly #before: { readonly log: StreamLog<T>; readonly sequence: number } | undefined;

  constructor(before?: { readonly log: StreamLog<T>; readonly sequence: number }) {
    this.#before = before;
    this.taken = before === undefined ? [] : before.log.taken.filter(({ sequence }) => sequence <= before.sequence);
  }

  /** Up to where who was told `positions` was told all of this log: what two logs share counts in both. */
  toldUpTo(positions: ReadonlyMap<StreamLog<T>, number>): number {
    const before = this.#before;
    const shared = before === undefined ? 0 : Math.min(before.sequence, before.log.toldUpTo(positions));
    return Math.max(shared, positions.get(this) ?? 0);
  }
}

/** Up to where a node was told all of a log. */
export interface Told<T extends Logged> {
  readonly log: StreamLog<T>;
  readonly sequence: number;
}

/** The logs of all streams of a run: one for each history. */
export class StreamLogs<T extends Logged> {
  /** By the time at which a stream was made: the log that it writes now. */
  readonly #logs = new Map<string, StreamLog<T>>();
  /** By the name of a history: the log with its numbers. */
  readonly #histories = new Map<string, StreamLog<T>>();

  /** The log that the stream made at `created` writes now. */
  now(created: string): StreamLog<T> {
    const log = this.#logs.get(created) ?? new StreamLog<T>();
    this.#logs.set(created, log);
    return log;
  }

  /** The log that it writes in `history`. */
  writes(created: string, history: string): StreamLog<T> {
    const log = this.now(created);
    this.#histories.set(history, log);
    return log;
  }

  /** The log with the numbers of `history`; undefined: no stream has taken anything in it. */
  of(history: string): StreamLog<T> | undefined {
    return this.#histories.get(history);
  }

  /** The stream has lost what came after `sequence`. Returns the log that it wrote until then. */
  lost(created: string, sequence: number): StreamLog<T> {
    const log = this.now(created);
    this.#logs.set(created, new StreamLog({ log, sequence }));
    return log;
  }
}
