import type { CommitRequest } from "../../core/transaction.js";
import { limits, type ZooidError } from "../../core/index.js";
import type { Committed } from "../protocol/messages.js";
import * as wire from "../protocol/codec.js";

/** Sends one answer to whoever asked. Never throws. */
export type Reply = (answer: Uint8Array) => void;

/** `finish` is of a transaction that was voted; `fence` keeps an id from ever committing. */
export type PendingKind = "commit" | "vote" | "finish" | "fence";

/**
 * Something that waits to be written, from its arrival to its answer. Copies of the same id join it: whoever asks about
 * an id that is in the air learns what becomes of the original.
 */
export class PendingCommit {
  readonly kind: PendingKind;
  readonly id: string;
  readonly session: string;
  /** What is to be committed; undefined for a fence. */
  readonly request: CommitRequest | undefined;
  /** Of what was received. */
  readonly bytes: number;
  /** It is not looked at any more when its turn comes: it was answered before. */
  ended = false;
  /** It has an actor: it waits, waited, or was voted. */
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

  /** The same request came again. False: too many did already, and this one is not answered. */
  join(reply: Reply): boolean {
    return added((this.#joined ??= []), reply);
  }

  /** Calls `action` once it has ended, with the error if it was refused. False: too many wait for that already, and it is not called. */
  afterwards(action: (error: ZooidError | undefined) => void): boolean {
    return added((this.#afterwards ??= []), action);
  }

  committed(committed: Committed): void {
    this.#end(this.#reply === undefined ? undefined : wire.writeAnswer(wire.committed, committed), undefined);
  }

  /** A vote passed, or a fence stands. */
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
