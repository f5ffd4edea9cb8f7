import { LRUCache } from "lru-cache";
import { BehindError, limits, ServerBusyError, SnapshotTooOldError, type Tid } from "../../core/index.js";
import type { KeysRequest, LogRequest } from "../protocol/messages.js";
import { PacedSending } from "../system/paced-sending.js";
import type { StorageParts } from "./parts.js";
import type { Reply } from "./pending-commit.js";
import * as wire from "../protocol/codec.js";

export interface LogPagesDeps extends StorageParts {
  /** The bytes of the answer that fails with `error`. */
  readonly refusal: (error: unknown, operation: string) => Uint8Array;
}

interface PageRequest {
  readonly session: string;
  readonly operation: "log" | "keys";
  readonly write: () => Uint8Array;
  readonly reply: Reply;
}

/**
 * Answers clients that read the log. A client that missed few transactions is answered at once from the invalidation
 * queue in memory. Clients that missed more wait in a queue: one page is read and encoded at a time, for any number of
 * clients.
 *
 * 1. No step takes much longer than `limits.pruningStepMsMax`; commits and heartbeats come between two steps.
 * 2. At most about `limits.pacedBytesInAirMax` of pages wait to be sent to the broker: the answer to a commit waits for
 *    no more than these.
 * 3. A page is read and encoded once for all clients that ask for it, as long as the memory for pages holds it.
 */
export class LogPages {
  readonly #deps: LogPagesDeps;
  readonly #pages = new LRUCache<string, Uint8Array>({ maxSize: limits.logPagesBytesMax, sizeCalculation: (bytes) => bytes.length });
  readonly #waiting: PageRequest[] = [];
  readonly #waitingBySession = new Map<string, number>();
  /** Index of the first request in `#waiting` that is not answered yet. */
  #first = 0;
  #isAnswering = false;
  readonly #sending: PacedSending;

  constructor(deps: LogPagesDeps) {
    this.#deps = deps;
    this.#sending = new PacedSending(deps);
  }

  /**
   * Answers with the page of transactions after `after`, at once or later. Throws BehindError, SnapshotTooOldError or
   * ServerBusyError.
   */
  log({ session, after }: LogRequest, reply: Reply): void {
    if (this.#deps.store.queueHas(after)) reply(this.#logPage(after));
    else this.#enqueue({ session, operation: "log", write: () => this.#logPage(after), reply });
  }

  /** Answers later with some keys of one transaction, beginning at index `from`. Throws ServerBusyError. */
  keys({ session, tid, from }: KeysRequest, reply: Reply): void {
    this.#enqueue({ session, operation: "keys", write: () => this.#keysPage(tid, from), reply });
  }

  /** Drops all requests that wait, without an answer. */
  stop(): void {
    this.#waiting.length = 0;
    this.#first = 0;
    this.#waitingBySession.clear();
    this.#pages.clear();
  }

  #enqueue(request: PageRequest): void {
    const { session } = request;
    const count = this.#waitingBySession.get(session) ?? 0;
    if (count >= limits.pagesAskedMax) throw new ServerBusyError({ what: "pages of the log", countMax: limits.pagesAskedMax });
    this.#waitingBySession.set(session, count + 1);
    this.#waiting.push(request);
    if (!this.#isAnswering) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    for (let request = this.#next(); request !== undefined; request = this.#next()) {
      const paced = this.#sending.sent(this.#answer(request));
      if (paced !== undefined) await paced;
    }
    this.#isAnswering = false;
  }

  #next(): PageRequest | undefined {
    const request = this.#waiting[this.#first];
    if (request === undefined) {
      this.#waiting.length = 0;
      this.#first = 0;
      return undefined;
    }
    this.#first++;
    // The answered part is removed once it is more than half of the array: so each removal moves less than it removes.
    if (this.#first * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    const count = this.#waitingBySession.get(request.session) ?? 1;
    if (count === 1) this.#waitingBySession.delete(request.session);
    else this.#waitingBySession.set(request.session, count - 1);
    return request;
  }

  #answer({ operation, write, reply }: PageRequest): number {
    let bytes: Uint8Array;
    try {
      bytes = write();
    } catch (error) {
      bytes = this.#deps.refusal(error, operation);
    }
    reply(bytes);
    return bytes.length;
  }

  /** Throws BehindError when the log has not reached `after`, SnapshotTooOldError when the log no longer has it. */
  #logPage(after: Tid): Uint8Array {
    const { store } = this.#deps;
    const name = `log ${after}`;
    // A page that reaches the last transaction is complete only until the next one: its name contains both tids.
    const lastName = `${name} to ${store.position.tid}`;
    const known = this.#known(name, after) ?? this.#known(lastName, after);
    if (known !== undefined) return known;
    const page = store.pageAfter(after);
    if (page.transactions.length === 0 && !page.whole) {
      const last = store.position.tid;
      if (after > last) throw new BehindError({ snapshot: after, last });
      throw new SnapshotTooOldError({ snapshot: after, floor: store.historyFloor });
    }
    const bytes = wire.writeAnswer(wire.logPage, page);
    this.#pages.set(page.whole ? lastName : name, bytes);
    return bytes;
  }

  /** Throws SnapshotTooOldError when the log no longer has the transaction, BehindError when it is not there yet. */
  #keysPage(tid: Tid, from: number): Uint8Array {
    const name = `keys ${tid} ${from}`;
    const known = this.#known(name, tid);
    if (known !== undefined) return known;
    const keys = this.#deps.store.keysOf(tid, from, limits.invalidationKeysMax);
    const bytes = wire.writeAnswer(wire.keysPage, { keys });
    this.#pages.set(name, bytes);
    return bytes;
  }

  /** The page with this name; undefined when it is not in memory, or when the log after `tid` was pruned. */
  #known(name: string, tid: Tid): Uint8Array | undefined {
    return tid >= this.#deps.store.historyFloor ? this.#pages.get(name) : undefined;
  }
}
