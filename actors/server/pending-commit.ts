import { type CommitRequest, limits, type ZooidError } from "../../core/index.js";
import type { Committed } from "../protocol/messages.js";
import * as wire from "../protocol/codec.js";

/** Sends one answer to the sender of a request. Never throws. */
export type Reply = (answer: Uint8Array) => void;

/** `finish` commits a voted transaction; `fence` prevents any later commit of an id. */
export type PendingKind = "commit" | "vote" | "finish" | "fence";

/**
 * A commit, vote, finish or fence from its arrival to its answer. Copies with the same id join it: they get the answer
 * of the original.
 */
export class PendingCommit {
  readonly kind: PendingKind;
  readonly id: string;
  readonly session: string;
  /** Undefined for a fence. */
  readonly request: CommitRequest | undefined;
  /** Size of the received message. */
  readonly bytes: number;
  /** It was answered already: a batch skips it. */
  ended = false;
  /** Its transaction has an actor: it waits or waited for held objects, or it was voted. */
  isOpen = false;
  readonly #reply: Reply | undefined;
  #joined: Reply[] | undefined;
  #afterwards: ((error: ZooidError | undefined) => void)[] | undefined;

  constructor(kind: "fence", id: string);
  constructor(kind: PendingKind, id: string, session: string, request: CommitRequest, bytes: number, reply: Reply);
  constructor(kind: PendingKind, id: string, session = "", request?: CommitRequest, bytes = 0, reply?: Reply) {
    this.kind = kind;
    this.id = id;
    this.session = session;
    this.request = request;
    this.bytes = bytes;
    this.#reply = reply;
  }

  /** Adds `reply` of a copy. False: too many copies wait already, and this one gets no answer. */
  join(reply: Reply): boolean {
    return added((this.#joined ??= []), reply);
  }

  /**
   * Calls `action` after the end, with the error if the request was refused. False: too many actions wait already, and
   * this one is never called.
   */
  afterwards(action: (error: ZooidError | undefined) => void): boolean {
    return added((this.#afterwards ??= []), action);
  }

  committed(committed: Committed): void {
    this.#end(this.#reply === undefined ? undefined : wire.writeAnswer(wire.committed, committed), undefined);
  }

  /** Ends a vote that passed, or a fence that is durable. */
  done(): void {
    this.#end(this.#reply === undefined ? undefined : wire.writeAnswer(wire.nothing, {}), undefined);
  }

  refused(error: ZooidError): void {
    this.#end(this.#reply === undefined ? undefined : wire.writeError(error), error);
  }

  #end(answer: Uint8Array | undefined, error: ZooidError | undefined): void {
    if (this.ended) return;
    this.ended = true;
    if (answer !== undefined) {
      this.#reply?.(answer);
      if (this.#joined !== undefined) for (const reply of this.#joined) reply(answer);
    }
    if (this.#afterwards !== undefined) for (const action of this.#afterwards) action(error);
  }
}

function added<T>(waiting: T[], one: T): boolean {
  if (waiting.length >= limits.copiesAnsweredMax) return false;
  waiting.push(one);
  return true;
}
