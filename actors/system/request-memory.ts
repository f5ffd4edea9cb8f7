import { assert, limits } from "../../core/index.js";
import { type Recent, Recency } from "../../core/recency.js";

/** Sends the bytes of an answer. Does not throw. */
export type Reply = (answer: Uint8Array) => void;

/** The place of a request among all that were taken, and where its answer goes: to its latest try. */
interface WaitingRequest {
  readonly number: number;
  reply: Reply;
}

interface AnsweredRequest extends Recent<AnsweredRequest> {
  readonly id: string;
  readonly number: number;
  readonly answer: Uint8Array;
}

/**
 * The requests of one actor system whose events its actors have taken, by id. A repeat gets the answer of the first
 * try. Requests are numbered. The oldest answers are forgotten, and the greatest number of a forgotten request is kept.
 */
export class RequestMemory {
  readonly #waiting = new Map<string, WaitingRequest>();
  readonly #answered = new Map<string, AnsweredRequest>();
  /** Answered requests in the order of their answers. */
  readonly #recency = new Recency<AnsweredRequest>();
  #latest = 0;
  #forgotten = 0;
  #bytes = 0;

  /** Number of the latest request. */
  get latest(): number {
    return this.#latest;
  }

  /** How many requests have no answer yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether each request with a number above `number` is remembered. */
  remembersAfter(number: number): boolean {
    return this.#forgotten <= number;
  }

  /** Whether this request was taken and has no answer yet. */
  isWaiting(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** Notes a request whose event is taken now. */
  take(id: string, reply: Reply): void {
    this.#latest += 1;
    this.#waiting.set(id, { number: this.#latest, reply });
  }

  /**
   * Answers a repeat of a request that was taken, or makes it the try that gets the answer. Returns false if no such
   * request is remembered.
   */
  repeat(id: string, reply: Reply): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      waiting.reply = reply;
      return true;
    }
    const answered = this.#answered.get(id);
    if (answered !== undefined) reply(answered.answer);
    return answered !== undefined;
  }

  /** Answers a request that was taken. */
  answer(id: string, answer: Uint8Array): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    const answered: AnsweredRequest = { id, number: waiting.number, answer, newer: undefined, older: undefined };
    this.#answered.set(id, answered);
    this.#recency.addNewest(answered);
    this.#bytes += answer.length;
    while (this.#answered.size > limits.actorRequestsRememberedMax || this.#bytes > limits.actorAnswersBytesMax) this.#forgetOldest();
    waiting.reply(answer);
  }

  #forgetOldest(): void {
    const { oldest } = this.#recency;
    assert(oldest !== undefined, "counted answers are in the list");
    this.#recency.remove(oldest);
    this.#answered.delete(oldest.id);
    this.#forgotten = Math.max(this.#forgotten, oldest.number);
    this.#bytes -= oldest.answer.length;
  }
}
