/** A message that a stream took, with its sequence. */
export interface Logged {
  readonly sequence: number;
}

/**
 * The messages that a stream took, in order, under sequences that it gave once. A stream that loses its end gives the
 * following sequences again: from there on it writes another log, which begins with the messages that are left.
 */
export class StreamLog<T extends Logged> {
  readonly taken: T[];
  /** The log that this one continues, and the sequence up to which both are the same. */
  readonly #before: { readonly log: StreamLog<T>; readonly sequence: number } | undefined;

  constructor(before?: { readonly log: StreamLog<T>; readonly sequence: number }) {
    this.#before = before;
    this.taken = before === undefined ? [] : before.log.taken.filter(({ sequence }) => sequence <= before.sequence);
  }

  /** The sequence up to which `positions` cover the whole log. A part that two logs share counts in both. */
  reportedUpTo(positions: ReadonlyMap<StreamLog<T>, number>): number {
    const before = this.#before;
    const shared = before === undefined ? 0 : Math.min(before.sequence, before.log.reportedUpTo(positions));
    return Math.max(shared, positions.get(this) ?? 0);
  }
}

/** The sequence up to which a node's bus has reported the whole log. */
export interface LogPosition<T extends Logged> {
  readonly log: StreamLog<T>;
  readonly sequence: number;
}

/** The logs of all streams of a run, one for each history. */
export class StreamLogs<T extends Logged> {
  /** By creation time of a stream: the log that it writes now. */
  readonly #logs = new Map<string, StreamLog<T>>();
  /** By name of a history: the log with its sequences. */
  readonly #histories = new Map<string, StreamLog<T>>();

  /** The log that the stream made at `created` writes now. */
  now(created: string): StreamLog<T> {
    const log = this.#logs.get(created) ?? new StreamLog<T>();
    this.#logs.set(created, log);
    return log;
  }

  /** The log that the stream writes now, in `history`. */
  writes(created: string, history: string): StreamLog<T> {
    const log = this.now(created);
    this.#histories.set(history, log);
    return log;
  }

  /** The log with the sequences of `history`. Undefined: no stream has taken a message in it. */
  of(history: string): StreamLog<T> | undefined {
    return this.#histories.get(history);
  }

  /** The stream lost its messages after `sequence`. Returns the log that it wrote until then. */
  lost(created: string, sequence: number): StreamLog<T> {
    const log = this.now(created);
    this.#logs.set(created, new StreamLog({ log, sequence }));
    return log;
  }
}
