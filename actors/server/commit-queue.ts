import { assert, ServerBusyError } from "../../core/index.js";
import type { PendingCommit } from "./pending-commit.js";

/**
 * What waits for the next batch, in the order in which it will be validated, and everything in the air by id: what waits
 * here, what stands in the batch being written, and what waits for held objects.
 */
export class CommitQueue {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #inAir = new Map<string, PendingCommit>();
  #waiting: PendingCommit[] = [];
  /** What was taken already, at the front of `#waiting`. */
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

  /** Whether the finish of a voted transaction waits here. */
  get hasFinish(): boolean {
    return this.#waiting.some(({ kind }, index) => kind === "finish" && index >= this.#taken);
  }

  /** What is in the air under `id`. */
  inAir(id: string): PendingCommit | undefined {
    return this.#inAir.get(id);
  }

  /** Throws ServerBusyError when as many wait as may, or as many bytes of requests are kept. */
  checkRoom(bytes: number): void {
    if (this.count >= this.#countMax) throw new ServerBusyError({ what: "commits waiting", countMax: this.#countMax });
    if (this.#bytes + bytes > this.#bytesMax) throw new ServerBusyError({ what: "bytes of commits", countMax: this.#bytesMax });
  }

  /** Counts a request that is kept without being in the air: it was voted. */
  keep(bytes: number): void {
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Puts `pending` at the end. Nothing else is in the air under its id. */
  enqueueCommit(pending: PendingCommit): void {
    assert(!this.#inAir.has(pending.id), "an id is in the air once");
    this.#inAir.set(pending.id, pending);
    this.#bytes += pending.bytes;
    this.#waiting.push(pending);
  }

  /** Puts those that waited elsewhere, and are in the air already, before all others, in their order. */
  addFirst(pendings: readonly PendingCommit[]): void {
    this.#waiting = [...pendings, ...this.#waiting.slice(this.#taken)];
    this.#taken = 0;
  }

  /** The next one, which stays in the air until `land`. */
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

  /** It is in the air no more: about to be answered. */
  land(pending: PendingCommit): void {
    if (this.#inAir.get(pending.id) !== pending) return;
    this.#inAir.delete(pending.id);
    this.#bytes -= pending.bytes;
  }
}
