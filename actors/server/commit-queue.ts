import { assert, ServerBusyError } from "../../core/index.js";
import type { PendingCommit } from "./pending-commit.js";

/**
 * The queue of commits and fences for the next batch, in the order of their validation. It also finds each pending
 * commit in the air by its id: the commit waits here, is in the batch being written, or waits for held objects.
 */
export class CommitQueue {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #inAir = new Map<string, PendingCommit>();
  #waiting: PendingCommit[] = [];
  /** Number of commits at the front of `#waiting` that were taken already. */
  #taken = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#taken === this.#waiting.length;
  }

  get count(): number {
    return this.#waiting.length - this.#taken;
  }

  /** Whether the finish of a voted transaction is in the queue. */
  get hasFinish(): boolean {
    return this.#waiting.some(({ kind }, index) => kind === "finish" && index >= this.#taken);
  }

  /** The pending commit in the air with this id. */
  inAir(id: string): PendingCommit | undefined {
    return this.#inAir.get(id);
  }

  /** Throws ServerBusyError when the queue is full, or when the requests in memory have too many bytes. */
  checkRoom(bytes: number): void {
    if (this.count >= this.#countMax) throw new ServerBusyError({ what: "commits waiting", countMax: this.#countMax });
    if (this.#bytes + bytes > this.#bytesMax) throw new ServerBusyError({ what: "bytes of commits", countMax: this.#bytesMax });
  }

  /** Counts the bytes of a voted request: it stays in memory but is no longer in the air. */
  keep(bytes: number): void {
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Adds `pending` at the end. No other pending commit with its id may be in the air. */
  enqueueCommit(pending: PendingCommit): void {
    assert(!this.#inAir.has(pending.id), "an id is in the air once");
    this.#inAir.set(pending.id, pending);
    this.#bytes += pending.bytes;
    this.#waiting.push(pending);
  }

  /** Adds `pendings`, which waited elsewhere and are in the air already, before all others and in the same order. */
  addFirst(pendings: readonly PendingCommit[]): void {
    this.#waiting = [...pendings, ...this.#waiting.slice(this.#taken)];
    this.#taken = 0;
  }

  /** Takes the next one from the queue. It stays in the air until `land`. */
  nextCommit(): PendingCommit | undefined {
    const pending = this.#waiting[this.#taken];
    if (pending === undefined) return undefined;
    this.#taken++;
    if (this.isEmpty) {
      this.#waiting = [];
      this.#taken = 0;
    }
    return pending;
  }

  /** Removes `pending` from the air, just before its answer. */
  land(pending: PendingCommit): void {
    if (this.#inAir.get(pending.id) !== pending) return;
    this.#inAir.delete(pending.id);
    this.#bytes -= pending.bytes;
  }
}
