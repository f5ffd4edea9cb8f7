import type { OpenTransaction, Reader, Transaction } from "../../../actors/client/object-access.js";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import type { UntypedSchema } from "../../../actors/protocol/schema.js";
import type { Random, Clock, Tid } from "../../../core/index.js";
import {
  delay,
  OtherHistoryError,
  OutcomeUnknownError,
  ServerBehindError,
  TransactionAbortedError,
  TransactionTimedOutError,
} from "../../../core/index.js";
import type { Attempt, Life, Seen } from "./checker.js";
import type { World } from "./world.js";
import { keys, prefixes, timings } from "./world.js";

export interface WorkloadOptions {
  readonly world: World;
  readonly clock: Clock;
  readonly client: ObjectClient;
  readonly life: Life;
  readonly random: Random;
  /** Attempts whose outcome the client may still learn. The workload keeps it up to date. */
  readonly openAttempts: Set<Attempt>;
}

type Read = Reader<UntypedSchema>;
type Write = Transaction<UntypedSchema>;
type Voted = OpenTransaction<UntypedSchema>;
type Body = (tx: Write, attempt: Attempt) => Promise<void>;

/** The users of one life of a client: random transactions, each checked at each step. */
export class Workload {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #client: ObjectClient;
  readonly #life: Life;
  readonly #random: Random;
  readonly #openAttempts: Set<Attempt>;
  #names = 0;
  #puts = 0;
  #voted = 0;

  constructor(options: WorkloadOptions) {
    this.#world = options.world;
    this.#clock = options.clock;
    this.#client = options.client;
    this.#life = options.life;
    this.#random = options.random;
    this.#openAttempts = options.openAttempts;
  }

  /** Runs one user for ever. Rejects only with an error that the client cannot recover from by itself. */
  async run(): Promise<never> {
    for (;;) {
      await (this.#world.isCalm ? this.#pause(100, 400) : this.#pause(5, 120));
      try {
        await this.#act();
      } catch (error) {
        this.#world.note(this.#life.client, `user got ${String(error)}`);
        this.#world.unlessExpected(this.#life.client, error);
        if (error instanceof OtherHistoryError || error instanceof ServerBehindError) throw error;
        await this.#pause(5, 200);
      }
    }
  }

  /** Whether a transaction of its users has voted and not ended. If it hangs, the client's session ends with it. */
  get hasVoted(): boolean {
    return this.#voted > 0;
  }

  /** Commits a transaction that puts `key`. */
  put(key: string): Promise<void> {
    return this.#transact(async (tx, attempt) => {
      await this.#put(tx, attempt, key);
    });
  }

  /** Votes a transaction that read `read` and writes `write`. The result tries to finish it; call it much later. */
  async hang(read: string, write: string): Promise<() => Promise<void>> {
    const before = this.#seen();
    const tx = await this.#client.begin();
    const attempt = this.#began(tx, before, true);
    await this.#read(tx, attempt, read);
    await this.#put(tx, attempt, write);
    await tx.vote();
    return async () => {
      await this.#settling(attempt, () => tx.finish());
      if (attempt.outcome !== "refused") {
        this.#world.checker.violated(9, "a transaction that hung is aborted at its time-out", { attempt: attempt.name });
      }
    };
  }

  #act(): Promise<void> {
    const dice = this.#random.fraction();
    if (dice < 0.25) return this.#look();
    if (dice < 0.5) return this.#transact((tx, attempt) => this.#change(tx, attempt));
    if (dice < 0.58) return this.#transact((tx, attempt) => this.#putBlindly(tx, attempt));
    if (dice < 0.66) return this.#transact((tx, attempt) => this.#remove(tx, attempt));
    if (dice < 0.78) return this.#transact((tx, attempt) => this.#listThenPut(tx, attempt));
    if (dice < 0.86) return this.#transact((tx, attempt) => this.#skew(tx, attempt));
    if (dice < 0.92) return this.#transact((tx, attempt) => this.#lookBack(tx, attempt));
    return this.#coordinate();
  }

  // ---- Transactions

  /** Reads only. */
  async #look(): Promise<void> {
    const before = this.#seen();
    await this.#client.read(async (tx) => {
      const attempt = this.#began(tx, before, true);
      await this.#readSome(tx, attempt, 1 + this.#below(4));
      if (this.#random.fraction() < 0.3) await this.#list(tx, attempt, this.#prefix());
      if (this.#random.fraction() < 0.1) await this.#pause(10, 500);
      await this.#readSome(tx, attempt, 1 + this.#below(3));
      this.#openAttempts.delete(attempt);
      this.#world.checker.forgotten(attempt);
    });
  }

  /** Reads some keys and writes some keys, read or not. */
  readonly #change: Body = async (tx, attempt) => {
    await this.#readSome(tx, attempt, 1 + this.#below(3));
    if (this.#random.fraction() < 0.3) await this.#pause(1, 60);
    const read = [...attempt.reads];
    await this.#put(tx, attempt, read[this.#below(read.length)] ?? this.#key());
    if (this.#random.fraction() < 0.3) await this.#put(tx, attempt, this.#key());
    await this.#readSome(tx, attempt, this.#below(2));
  };

  readonly #putBlindly: Body = async (tx, attempt) => {
    await this.#put(tx, attempt, this.#key());
  };

  readonly #remove: Body = async (tx, attempt) => {
    const key = this.#key();
    if ((await this.#read(tx, attempt, key)) !== undefined) {
      attempt.writes.set(key, undefined);
      await tx.delete(key);
    }
    await this.#put(tx, attempt, `marks/${this.#life.client}`);
  };

  /**
   * Lists a prefix and writes a key outside it: each transaction that creates, changes or deletes a key below the
   * prefix conflicts.
   */
  readonly #listThenPut: Body = async (tx, attempt) => {
    const prefix = this.#prefix();
    await this.#list(tx, attempt, prefix);
    await this.#put(tx, attempt, this.#keyOutside(prefix));
  };

  /** Reads one key, whether it exists or not, and writes another: two such transactions, crossed, are a write skew. */
  readonly #skew: Body = async (tx, attempt) => {
    const [read, write] = [this.#key(), this.#key()];
    await this.#read(tx, attempt, read);
    await this.#pause(1, 30);
    if (write !== read) await this.#put(tx, attempt, write);
  };

  /** Holds its snapshot for long, and repeatedly reads data that may be pruned meanwhile. */
  readonly #lookBack: Body = async (tx, attempt) => {
    for (let looks = 2 + this.#below(15); looks > 0; looks--) {
      await this.#readSome(tx, attempt, 1);
      if (this.#random.fraction() < 0.3) await this.#list(tx, attempt, this.#prefix());
      await this.#pause(20, 150);
    }
  };

  /** Votes, then finishes, aborts or, while there are faults, hangs until it is too late. */
  async #coordinate(): Promise<void> {
    const before = this.#seen();
    const isSerializable = this.#random.fraction() < 0.8;
    const tx = await this.#client.begin({ isolation: isSerializable ? "serializable" : "snapshot" });
    const attempt = this.#began(tx, before, isSerializable);
    await this.#settling(attempt, async () => {
      try {
        await this.#skew(tx, attempt);
        if (attempt.writes.size === 0) await this.#put(tx, attempt, this.#key());
      } catch (error) {
        await tx.abort();
        throw error;
      }
      await tx.vote();
      this.#world.note(this.#life.client, `${attempt.name} voted`);
      this.#voted++;
      try {
        return await this.#endVoted(tx);
      } finally {
        this.#voted--;
      }
    });
  }

  async #endVoted(tx: Voted): Promise<Tid | undefined> {
    const dice = this.#random.fraction();
    if (dice < 0.2) {
      await tx.abort();
      return undefined;
    }
    if (dice < 0.4 && !this.#world.isCalm) await this.#pause(timings.transactionTimeoutMs, 2 * timings.transactionTimeoutMs);
    else await this.#pause(1, 200);
    return tx.finish();
  }

  async #transact(body: Body): Promise<void> {
    let before = this.#seen();
    const isSerializable = this.#random.fraction() < 0.85;
    let last: Attempt | undefined;
    const run = async () => {
      const { tid } = await this.#client.transact(
        async (tx) => {
          // The body runs again: its earlier attempt is not committed, and never will be.
          if (last !== undefined) this.#refused(last);
          last = this.#began(tx, before, isSerializable);
          await body(tx, last);
          before = this.#seen();
        },
        { isolation: isSerializable ? "serializable" : "snapshot" },
      );
      return tid;
    };
    try {
      const tid = await run();
      if (last !== undefined) this.#acknowledged(last, tid);
    } catch (error) {
      if (last !== undefined) this.#failed(last, error);
      throw error;
    }
  }

  async #settling(attempt: Attempt, run: () => Promise<Tid | undefined>): Promise<void> {
    try {
      const tid = await run();
      if (tid === undefined) this.#refused(attempt);
      else this.#acknowledged(attempt, tid);
    } catch (error) {
      this.#failed(attempt, error);
      if (error instanceof TransactionTimedOutError || error instanceof TransactionAbortedError) return;
      throw error;
    }
  }

  // ---- Attempts

  #began(tx: Read, before: Seen, isSerializable: boolean): Attempt {
    const name = `${this.#life.client}/${this.#life.number}#${++this.#names}`;
    const attempt = this.#world.checker.began(name, this.#life, before, tx.snapshot, this.#client.position.digest, isSerializable);
    this.#openAttempts.add(attempt);
    this.#world.note(this.#life.client, `${name} began at ${attempt.snapshot.tid}`);
    return attempt;
  }

  #seen(): Seen {
    const { lastSnapshot, lastCommit } = this.#life;
    return { lastSnapshot, lastCommit };
  }

  #acknowledged(attempt: Attempt, tid: Tid): void {
    this.#openAttempts.delete(attempt);
    this.#world.note(this.#life.client, `${attempt.name} committed as ${tid}`);
    this.#world.checker.acknowledged(attempt, tid);
  }

  #refused(attempt: Attempt): void {
    this.#openAttempts.delete(attempt);
    this.#world.checker.refused(attempt);
  }

  #failed(attempt: Attempt, error: unknown): void {
    this.#world.note(this.#life.client, `${attempt.name} failed: ${String(error)}`);
    if (!(error instanceof OutcomeUnknownError)) {
      this.#refused(attempt);
      return;
    }
    this.#openAttempts.delete(attempt);
    this.#world.checker.forgotten(attempt);
  }

  // ---- Steps

  async #read(tx: Read, attempt: Attempt, key: string): Promise<string | undefined> {
    const value = (await tx.get(key)) as string | undefined;
    this.#world.note(this.#life.client, `${attempt.name} read ${key} ${value ?? "-"}`);
    this.#world.checker.read(attempt, key, value);
    return value;
  }

  async #readSome(tx: Read, attempt: Attempt, count: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.#read(tx, attempt, this.#key());
  }

  async #list(tx: Read, attempt: Attempt, prefix: string): Promise<void> {
    const rows: [string, string][] = [];
    for await (const [key, value] of tx.list(prefix)) rows.push([key, value as string]);
    this.#world.checker.listed(attempt, prefix, rows);
  }

  async #put(tx: Write, attempt: Attempt, key: string): Promise<void> {
    const value = `${attempt.name}.${++this.#puts}`;
    attempt.writes.set(key, value);
    await tx.put(key, value);
  }

  #key(): string {
    return keys[this.#below(keys.length)] ?? "a/1";
  }

  #keyOutside(prefix: string): string {
    const others = keys.filter((key) => !key.startsWith(prefix));
    return others[this.#below(others.length)] ?? "a/1";
  }

  #prefix(): string {
    return prefixes[this.#below(prefixes.length)] ?? "a/";
  }

  #below(count: number): number {
    return Math.floor(this.#random.fraction() * count);
  }

  #pause(msMin: number, msMax: number): Promise<void> {
    return delay(this.#clock, msMin + this.#random.fraction() * (msMax - msMin));
  }
}
