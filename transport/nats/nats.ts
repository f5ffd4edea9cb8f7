import { headers, type Msg, type MsgHdrs, PermissionViolationError, type Status } from "nats";
import {
  checkSize,
  ClosedError,
  DisconnectedError,
  InvalidOptionError,
  limits,
  NotAuthorizedError,
  systemRandom,
} from "../../core/index.js";
import { handle } from "../handling.js";
import { LinkedTransport } from "../linked-transport.js";
import { type NatsAddress, natsAddress } from "./address.js";
import { dialNats } from "./dial.js";
import type { NatsLink } from "./link.js";
import { checkNatsOptions, type NatsOptions } from "./options.js";
import { Joiner, type PartPosition, positionFromText, positionToText, split } from "../parts.js";
import { isLasting } from "../redial.js";
import { checkPattern, checkQueue, checkSubject } from "../subject.js";
import type { AskingTransport, HeadedAnswer, HeadedMessage, HeadedRequestOptions, SubscribeOptions, Subscription } from "../transport.js";

export type { NatsOptions } from "./options.js";

/**
 * A transport over NATS that keeps its link for ever. Rejects with InvalidOptionError, NotAuthorizedError,
 * DisconnectedError. Messages are split only between two fixed parties. A request above the server's max_payload must
 * go to a subject without a queue, because each part would go to another member, and to one subscriber, because the
 * first reply counts.
 */
export async function connectNats(options: NatsOptions): Promise<AskingTransport> {
  const servers = typeof options.servers === "string" ? options.servers.split(",") : options.servers;
  const addresses = servers.map((server) => natsAddress(server.trim()));
  const [first] = addresses;
  if (first === undefined) throw new InvalidOptionError({ option: "servers", reason: "is empty" });
  await checkNatsOptions(options);
  const transport = new NatsTransport(options, addresses, first);
  await transport.open();
  return transport;
}

interface NatsSubscription {
  readonly id: number;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handler: (message: HeadedMessage) => void;
  /** The subscription on the current link. */
  subscription: Subscription | undefined;
  /** Why the broker refuses it on the current link. */
  refused: NotAuthorizedError | undefined;
  active: boolean;
}

const refusedInbox = "answers come to it; permit it, or name with inboxPrefix what the user may subscribe to";
const partHeader = "Zooid-Part";
const noResponders = 503;

class NatsTransport extends LinkedTransport<NatsAddress, NatsLink, HeadedAnswer> implements AskingTransport {
  readonly kind = "nats";
  readonly #options: NatsOptions;
  readonly #joiner: Joiner;
  readonly #entries = new Set<NatsSubscription>();
  readonly #onRefused = new Set<(error: NotAuthorizedError) => void>();
  readonly #inbox: string;
  readonly #id: string;
  #link: NatsLink | undefined;
  /** Why no reply can arrive over the current link. */
  #repliesRefused: NotAuthorizedError | undefined;
  #lose: (() => void) | undefined;
  #lastEntry = 0;
  #lastSplit = 0;

  constructor(options: NatsOptions, targets: readonly NatsAddress[], first: NatsAddress) {
    super(options, { name: "NATS", firstAddress: first.text, targets, worse: (a, b) => (isLasting(b) ? b : a) });
    this.#options = options;
    this.#id = (options.random ?? systemRandom).id();
    this.#inbox = `${options.inboxPrefix ?? "_INBOX"}.${this.#id}.`;
    this.#joiner = new Joiner(this.clock, this.log);
  }

  async request(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<Uint8Array> {
    return (await this.ask(subject, payload, options)).payload;
  }

  async ask(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<HeadedAnswer> {
    checkSubject(subject);
    this.checkLink();
    if (this.#repliesRefused !== undefined) throw this.#repliesRefused;
    const { headers } = options;
    return this.requests.open(subject, options, (id) => {
      const inbox = this.#inbox + id.toString(36);
      if (headers === undefined) this.#send(subject, payload, inbox);
      else this.#sendHeaded(subject, payload, inbox, headers);
    });
  }

  subscribe(subject: string, handler: (message: HeadedMessage) => void, options: SubscribeOptions = {}): Subscription {
    checkPattern(subject);
    if (options.queue !== undefined) checkQueue(options.queue);
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    const entry: NatsSubscription = {
      id: ++this.#lastEntry,
      subject,
      queue: options.queue,
      handler,
      subscription: undefined,
      refused: undefined,
      active: true,
    };
    this.#entries.add(entry);
    if (this.#link !== undefined) this.#subscribe(this.#link, entry);
    return {
      get refused() {
        return entry.refused;
      },
      unsubscribe: () => {
        if (!entry.active) return;
        entry.active = false;
        this.#entries.delete(entry);
        this.#joiner.clear(entryScope(entry.id));
        entry.subscription?.unsubscribe();
      },
    };
  }

  onRefused(listener: (error: NotAuthorizedError) => void): () => void {
    this.#onRefused.add(listener);
    return () => this.#onRefused.delete(listener);
  }

  protected override dial(address: NatsAddress, signal: AbortSignal): Promise<NatsLink> {
    return dialNats(address, this.#options, signal);
  }

  protected override get isLinked(): boolean {
    return this.#link?.isConnected === true;
  }

  protected override publishWhole(subject: string, payload: Uint8Array): void {
    this.#linked().publish(subject, payload);
  }

  protected override ping(): Promise<void> {
    return this.#linked()
      .flush()
      .catch((error: unknown) => Promise.reject(new DisconnectedError({ address: this.address }, error)));
  }

  protected override requestEnded(id: number): void {
    this.#joiner.clear(replyScope(id));
  }

  protected override forgetSubscriptions(): void {
    for (const entry of this.#entries) entry.active = false;
    this.#entries.clear();
    this.#joiner.clear();
  }

  protected override endLink(): void {
    this.#lose?.();
  }

  protected override async serve(link: NatsLink): Promise<void> {
    if (this.status === "closed") {
      link.abandon();
      return;
    }
    await new Promise<void>((resolve) => {
      const lose = () => {
        this.#drop(link);
        resolve();
      };
      this.#lose = lose;
      link.onStatus((event) => this.#onEvent(event, lose));
      if (link.isConnected) this.#take(link);
      else lose();
    });
  }

  #take(link: NatsLink): void {
    this.#link = link;
    this.#repliesRefused = undefined;
    link.subscribe(`${this.#inbox}*`, { callback: (error, message) => this.#onReply(error, message), queue: undefined });
    for (const entry of this.#entries) this.#subscribe(link, entry);
    this.linked(link.address, link.server?.max_payload ?? limits.payloadBytesMax);
  }

  #drop(link: NatsLink): void {
    if (this.#link !== undefined && this.#link !== link) return;
    link.abandon();
    if (this.#link === undefined) return;
    this.#link = undefined;
    this.#lose = undefined;
    for (const entry of this.#entries) entry.subscription = undefined;
    this.#joiner.clear();
    this.unlinked();
  }

  #onEvent(event: Status, lose: () => void): void {
    if (event.type === "disconnect" || event.type === "staleConnection") lose();
    if (event.type !== "error") return;
    this.log.warn({ err: event.error, address: this.address }, "NATS refused something");
    if (event.error instanceof PermissionViolationError && event.error.operation === "publish") {
      const refusal = this.#notAuthorized(event.error);
      this.requests.failSubject(event.error.subject, refusal);
      for (const refused of this.#onRefused) refused(refusal);
    }
  }

  #notAuthorized(error: PermissionViolationError): NotAuthorizedError {
    const refused = error.operation === "publish" ? "publish" : "subscribe";
    const reason = error.subject.startsWith(this.#inbox) ? refusedInbox : undefined;
    return new NotAuthorizedError({ address: this.address, subject: error.subject, refused, reason }, error);
  }

  #subscribe(link: NatsLink, entry: NatsSubscription): void {
    entry.refused = undefined;
    entry.subscription = link.subscribe(entry.subject, {
      callback: (error, message) => this.#onMessage(entry, error, message),
      queue: entry.queue,
    });
  }

  #onMessage(entry: NatsSubscription, error: Error | null, message: Msg): void {
    if (error instanceof PermissionViolationError) entry.refused = this.#notAuthorized(error);
    if (error !== null || !entry.active) return;
    const payload = this.#joined(entryScope, entry.id, message);
    if (payload === undefined) return;
    const { subject, reply } = message;
    const answer = reply === undefined || reply === "" ? undefined : (bytes: Uint8Array) => this.#send(reply, bytes, undefined);
    const replyTo = answer === undefined ? undefined : reply;
    handle(this.log, entry.handler, { subject, payload, reply: answer, headers: message.headers, replyTo });
  }

  #onReply(error: Error | null, message: Msg): void {
    if (error instanceof PermissionViolationError) {
      this.#repliesRefused = this.#notAuthorized(error);
      this.requests.failAll(this.#repliesRefused);
    }
    if (error !== null) return;
    const id = Number.parseInt(message.subject.slice(this.#inbox.length), 36);
    const subject = this.requests.subjectOf(id);
    if (subject === undefined) return;
    if (message.data.length === 0 && message.headers?.code === noResponders) {
      this.requests.fail(id, new DisconnectedError({ address: this.address, subject }));
      return;
    }
    const payload = this.#joined(replyScope, id, message);
    if (payload !== undefined) this.requests.resolve(id, { payload, headers: message.headers });
  }

  /** The payload of `message`, or the whole payload if `message` is the last part of one. */
  #joined(scopeOf: (id: number) => string, id: number, message: Msg): Uint8Array | undefined {
    const found: MsgHdrs | undefined = message.headers;
    const text = found?.get(partHeader) ?? "";
    if (text === "") return message.data;
    const position = positionFromText(text);
    if (position !== undefined) return this.#joiner.addPart(scopeOf(id), position, message.data);
    this.log.warn({ subject: message.subject, position: text.slice(0, 100) }, "a part without a sound position was dropped");
    return undefined;
  }

  #send(subject: string, payload: Uint8Array, reply: string | undefined): void {
    const link = this.#linked();
    if (payload.length <= this.payloadBytesMax) {
      link.publish(subject, payload, reply === undefined ? undefined : { reply });
      return;
    }
    for (const { position, bytes } of split(subject, `${this.#id}-${++this.#lastSplit}`, payload, this.payloadBytesMax)) {
      // Only the last part asks for a reply. Without a subscriber one refusal comes then, not one for each part.
      const last = position.index === position.count - 1;
      link.publish(subject, bytes, { headers: partHeaders(position), ...(last && reply !== undefined ? { reply } : {}) });
    }
  }

  #sendHeaded(subject: string, payload: Uint8Array, reply: string, named: Readonly<Record<string, string>>): void {
    const link = this.#linked();
    const sent = headers();
    let size = payload.length;
    for (const [name, value] of Object.entries(named)) {
      sent.set(name, value);
      size += name.length + value.length;
    }
    checkSize(subject, size, this.payloadBytesMax);
    link.publish(subject, payload, { headers: sent, reply });
  }

  #linked(): NatsLink {
    this.checkLink();
    return this.#link as NatsLink;
  }
}

function partHeaders(position: PartPosition): MsgHdrs {
  const result = headers();
  result.set(partHeader, positionToText(position));
  return result;
}

const entryScope = (id: number) => `subscription ${id}`;
const replyScope = (id: number) => `reply ${id}`;
