import { type ObjectStore, olderRevisionLooks } from "../../storage/objects/object-store.js";
import type { Message } from "../../transport/transport.js";
import {
  ClosedError,
  limits,
  MalformedMessageError,
  NotOwnerError,
  ReadOnlyError,
  TooLargeError,
  WriteInDoubtError,
  ZooidError,
} from "../../core/index.js";
import type { CommitRequests } from "./commit-requests.js";
import { LogPages } from "./log-pages.js";
import { isOwnedBy, type List, type Load, type ServerStatus, type Writer } from "../protocol/messages.js";
import type { StorageParts } from "./parts.js";
import type { Reply } from "./pending-commit.js";
import type { Session, Sessions } from "./sessions.js";
import type { Verdicts } from "./verdict.js";
import * as wire from "../protocol/codec.js";

export interface RequestHandlersDeps extends StorageParts {
  readonly sessions: Sessions;
  readonly commits: CommitRequests;
  readonly verdicts: Verdicts;
  /** Whether a write is in doubt, so that the store is closed until it is opened again. */
  readonly isInDoubt: () => boolean;
  readonly status: () => ServerStatus;
  /** Proof that this server writes the storage. */
  readonly writer: (nonce: string) => Writer;
  /** Registers a client and returns the answer. Throws the error that refuses the client. */
  readonly register: (payload: Uint8Array) => Uint8Array;
}

/**
 * Answers the requests to one storage of this instance. Each request gets the result of its operation, or an error with
 * class and facts. A malformed request changes nothing.
 */
export class RequestHandlers {
  readonly #deps: RequestHandlersDeps;
  readonly #pages: LogPages;
  readonly counters = { loads: 0, lists: 0, requestsRefused: 0 };

  constructor(deps: RequestHandlersDeps) {
    this.#deps = deps;
    this.#pages = new LogPages({ ...deps, refusal: (error, operation) => this.#refusal(error, operation) });
  }

  /** Drops the requests that wait, without an answer. */
  stop(): void {
    this.#pages.stop();
  }

  /** `operation` is the last token of the subject. The sender may have written any text there. */
  handle(operation: string, message: Message): void {
    const answer = message.reply;
    if (answer === undefined) {
      // The sender waits for no answer. Only a goodbye is useful without one.
      if (operation === "bye") this.#bye(message);
      else this.#deps.log.debug({ subject: message.subject }, "a request without a reply subject was dropped");
      return;
    }
    const reply: Reply = (bytes) => this.#send(answer, bytes, operation);
    try {
      this.#perform(operation, message.payload, reply);
    } catch (error) {
      reply(this.#refusal(error, operation));
    }
  }

  #perform(operation: string, payload: Uint8Array, reply: Reply): void {
    const { sessions, commits, store, status, verdicts } = this.#deps;
    switch (operation) {
      case "load": {
        const load = wire.load.read(payload);
        sessions.heard(load.session);
        this.counters.loads++;
        reply(wire.writeAnswer(wire.loadAnswer, loaded(store, load)));
        return;
      }
      case "commit":
      case "vote": {
        const commit = wire.commit.read(payload);
        const session = this.#writer(commit.session, commit.id);
        commits.arrive(operation, commit, session.id, payload.length, reply);
        return;
      }
      case "list": {
        const list = wire.list.read(payload);
        sessions.heard(list.session);
        this.counters.lists++;
        reply(wire.writeAnswer(wire.listAnswer, listed(store, list)));
        return;
      }
      case "finish": {
        const finish = wire.finish.read(payload);
        this.#writer(finish.session, finish.id);
        commits.finish(finish.id, reply);
        return;
      }
      case "abort": {
        const abort = wire.finish.read(payload);
        this.#writer(abort.session, abort.id);
        commits.abort(abort.id, reply);
        return;
      }
      case "settle": {
        const settle = wire.settle.read(payload);
        const { fences } = this.#writer(settle.session, settle.id);
        commits.settle(settle.id, settle.snapshot, fences, reply);
        return;
      }
      case "register":
        reply(this.#deps.register(payload));
        return;
      case "verify": {
        const verify = wire.verify.read(payload);
        sessions.heard(verify.session);
        reply(wire.writeAnswer(wire.verdict, verdicts.on(verify)));
        return;
      }
      case "log": {
        const request = wire.logRequest.read(payload);
        sessions.heard(request.session);
        this.#pages.log(request, reply);
        return;
      }
      case "keys": {
        const request = wire.keysRequest.read(payload);
        sessions.heard(request.session);
        this.#pages.keys(request, reply);
        return;
      }
      case "alive": {
        const alive = wire.alive.read(payload);
        const { position } = store;
        sessions.alive(alive.session, alive.oldestSnapshot, position.tid);
        reply(wire.writeAnswer(wire.aliveAnswer, { position }));
        return;
      }
      case "bye": {
        const { session } = wire.session.read(payload);
        sessions.heard(session);
        sessions.bye(session);
        reply(wire.writeAnswer(wire.nothing, {}));
        return;
      }
      case "status": {
        const { session } = wire.session.read(payload);
        if (session !== "") sessions.heard(session);
        reply(wire.writeAnswer(wire.serverStatus, status()));
        return;
      }
      case "writer": {
        const { nonce } = wire.challenge.read(payload);
        if (this.#deps.options.readOnly) throw new ReadOnlyError({ who: "server" });
        reply(wire.writeAnswer(wire.writer, this.#deps.writer(nonce)));
        return;
      }
      default:
        throw new MalformedMessageError({ what: "subject", reason: "names no operation" });
    }
  }

  #bye(message: Message): void {
    try {
      const { session } = wire.session.read(message.payload);
      this.#deps.sessions.bye(session);
    } catch (error) {
      this.#deps.log.debug({ err: error, subject: message.subject }, "a malformed goodbye was dropped");
    }
  }

  /**
   * The session with this secret. Throws UnknownSessionError, ReadOnlyError if it may not write, or NotOwnerError if
   * the transaction `id` belongs to another client.
   */
  #writer(secret: string, id: string): Session {
    const { sessions, options } = this.#deps;
    const session = sessions.heard(secret);
    if (options.readOnly) throw new ReadOnlyError({ who: "server" });
    if (session.readOnly) throw new ReadOnlyError({ who: "client" });
    if (!isOwnedBy(session.owner, id)) throw new NotOwnerError({ transaction: id });
    return session;
  }

  #refusal(error: unknown, operation: string): Uint8Array {
    this.counters.requestsRefused++;
    return wire.writeError(this.#explained(error, operation));
  }

  #explained(error: unknown, operation: string): unknown {
    const { storage, log, isInDoubt } = this.#deps;
    if (error instanceof ClosedError && isInDoubt()) return new WriteInDoubtError({ folder: storage }, error);
    if (!(error instanceof ZooidError)) log.error({ err: error, storage, operation }, "a request failed due to a bug");
    return error;
  }

  #send(answer: (payload: Uint8Array) => void, bytes: Uint8Array, operation: string): void {
    try {
      answer(bytes);
    } catch (error) {
      if (error instanceof TooLargeError) answer(wire.writeError(error));
      else this.#deps.log.debug({ err: error, operation }, "an answer could not be sent");
    }
  }
}

/** The first of the requested revisions, as many as fit in a page, but at least one. */
function loaded(store: ObjectStore, { keys, snapshot }: Load) {
  const [first] = keys;
  if (first === undefined) throw new MalformedMessageError({ what: "load.keys", reason: "is empty" });
  const revision = store.load(first, snapshot);
  // The as-of of the first revision is valid for the later ones too: theirs is the same or later.
  const { asOf } = revision;
  const revisions = [revision];
  let bytes = revision.value?.length ?? 0;
  let looks = 0;
  for (let index = 1; index < keys.length && bytes < limits.listPageBytesMax && looks < limits.pageLooksMax; index++) {
    const next = store.load(keys[index] ?? first, snapshot);
    bytes += next.value?.length ?? 0;
    if (bytes > limits.listPageBytesMax) break;
    looks += next.next === undefined ? 1 : olderRevisionLooks;
    revisions.push(next);
  }
  return { asOf, revisions };
}

function listed(store: ObjectStore, { range, snapshot, rowsMax }: List) {
  return store.list(range, snapshot, Math.min(Math.max(rowsMax, 1), limits.listPageRowsMax), limits.listPageBytesMax);
}
