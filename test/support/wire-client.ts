/** Speaks the protocol by hand, message by message, so that a test shows all that it sends to the server. */
import type { Transport } from "../../transport/transport.js";
import type { Broadcast, CommitRequest, Operation, Position, Register, Registered } from "../../actors/protocol/messages.js";
import { protocolVersion, storageSubjects } from "../../actors/protocol/messages.js";
import * as wire from "../../actors/protocol/codec.js";
import { newSecret, publicId, silentLog, systemRandom, type Tid } from "../../core/index.js";

export const utf8 = (text: string): Uint8Array => Buffer.from(text);
export const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();

/** The parts of a commit that matter to a test; `request` fills in the rest. */
export type CommitParts = Partial<Omit<CommitRequest, "writes">> & { readonly writes?: Readonly<Record<string, string | undefined>> };

let lastId = 0;
/** The end of an id that is unique in this process. The client puts its own name before it. */
export const newId = (): string => `transaction-${++lastId}`;

export class WireClient {
  readonly heard: Broadcast[] = [];
  readonly transport: Transport;
  /** Clients with the same secret own the same transactions. */
  readonly clientSecret: string;
  readonly #subjects: ReturnType<typeof storageSubjects>;
  #registered: Registered | undefined;
  #session = "";

  constructor(transport: Transport, realm: string, storage: string, clientSecret = newSecret(systemRandom)) {
    this.transport = transport;
    this.clientSecret = clientSecret;
    this.#subjects = storageSubjects(realm, storage);
    transport.subscribe(this.#subjects.invalidations, (message) => {
      const broadcast = wire.readOrDrop(wire.broadcast, message, silentLog);
      if (broadcast !== undefined) this.heard.push(broadcast);
    });
  }

  get registered(): Registered {
    if (this.#registered === undefined) throw new Error("the client has not registered");
    return this.#registered;
  }

  /** Secret of its session. */
  get session(): string {
    return this.#session;
  }

  /** The full id of this client's transaction that ends with `end`. */
  id(end: string): string {
    const owner = publicId(this.clientSecret);
    return end.startsWith(`${owner}-`) ? end : `${owner}-${end}`;
  }

  async register(options: Partial<Register> = {}): Promise<Registered> {
    const { client = "tester", readOnly = false, protocol = protocolVersion, oldestSnapshot } = options;
    const { clientSecret = this.clientSecret, sessionSecret = newSecret(systemRandom) } = options;
    const register = wire.register.write({ protocol, client, readOnly, clientSecret, sessionSecret, oldestSnapshot });
    const bytes = await this.transport.request(this.#subjects.register, register, { timeoutMs: 60_000 });
    this.#registered = wire.readAnswer(wire.registered, bytes);
    this.#session = sessionSecret;
    return this.#registered;
  }

  /** The raw answer to raw bytes. */
  raw(operation: string, payload: Uint8Array, timeoutMs = 600_000): Promise<Uint8Array> {
    return this.transport.request(this.#subjects.operation(this.registered.instance, operation as Operation), payload, { timeoutMs });
  }

  async ask<Q, A>(operation: Operation, question: wire.Codec<Q>, answer: wire.Codec<A>, message: Q): Promise<A> {
    return wire.readAnswer(answer, await this.raw(operation, question.write(message)));
  }

  commit(parts: CommitParts) {
    return this.ask("commit", wire.commit, wire.committed, this.request(parts));
  }

  vote(parts: CommitParts) {
    return this.ask("vote", wire.commit, wire.nothing, this.request(parts));
  }

  finish(id: string) {
    return this.ask("finish", wire.finish, wire.committed, { session: this.session, id: this.id(id) });
  }

  abort(id: string) {
    return this.ask("abort", wire.finish, wire.nothing, { session: this.session, id: this.id(id) });
  }

  settle(id: string, snapshot: Tid = 0 as Tid) {
    return this.ask("settle", wire.settle, wire.settled, { session: this.session, id: this.id(id), snapshot });
  }

  load(snapshot: Tid, ...keys: string[]) {
    return this.ask("load", wire.load, wire.loadAnswer, { session: this.session, snapshot, keys });
  }

  list(snapshot: Tid, range: { readonly from: string; readonly to: string | undefined }, rowsMax = 1_000) {
    return this.ask("list", wire.list, wire.listAnswer, { session: this.session, snapshot, range, rowsMax });
  }

  verify(position: Position, asOf: Position = position) {
    return this.ask("verify", wire.verify, wire.verdict, { session: this.session, position, asOf });
  }

  log(after: Tid) {
    return this.ask("log", wire.logRequest, wire.logPage, { session: this.session, after });
  }

  keys(tid: Tid, from: number) {
    return this.ask("keys", wire.keysRequest, wire.keysPage, { session: this.session, tid, from });
  }

  alive(oldestSnapshot?: Tid) {
    return this.ask("alive", wire.alive, wire.aliveAnswer, { session: this.session, oldestSnapshot });
  }

  bye() {
    return this.ask("bye", wire.session, wire.nothing, { session: this.session });
  }

  status(session = this.session) {
    return this.ask("status", wire.session, wire.serverStatus, { session });
  }

  /** A complete request in this client's session. */
  request(parts: CommitParts) {
    const { id = newId(), snapshot = this.registered.position.tid, serializable = true, reads = [], ranges = [], writes = {} } = parts;
    return {
      session: this.session,
      id: this.id(id),
      snapshot,
      serializable,
      reads,
      ranges,
      writes: Object.entries(writes).map(([key, value]) => ({ key, value: value === undefined ? undefined : utf8(value) })),
    };
  }

  /** Transactions of the invalidations received, in the order of arrival. */
  get invalidated() {
    return this.heard.flatMap((message) => (message.type === "invalidations" ? message.transactions : []));
  }
}
