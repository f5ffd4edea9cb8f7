import {
  headers,
  type MsgHdrs,
  type Msg,
  PermissionViolationError,
  type ProtocolHandler,
  QueuedIteratorImpl,
  type Status,
  SubscriptionImpl,
} from "nats";
import {
  type Clock,
  ClosedError,
  DisconnectedError,
  InvalidOptionError,
  limits,
  type Log,
  NotAuthorizedError,
  silentLog,
  soonerOf,
  systemRandom,
  systemClock,
  TooLargeError,
} from "../../core/index.js";
import { handle } from "../handling.js";
import { LinkListeners } from "../link-listeners.js";
import { type NatsAddress, natsAddress } from "./address.js";
import { abandon, dialNats, type NatsLink } from "./dial.js";
import { checkNatsOptions, type NatsOptions } from "./options.js";
import { Joiner, type PartPosition, positionFromText, positionToText, split } from "../parts.js";
import { PendingRequests } from "../pending-requests.js";
import { isLasting, Redial } from "../redial.js";
import { checkPattern, checkQueue, checkSubject } from "../subject.js";
import type {
  AskingTransport,
  HeadedAnswer,
  HeadedMessage,
  HeadedRequestOptions,
  LinkStatus,
  SubscribeOptions,
  Subscription,
} from "../transport.js";

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
  subscription: SubscriptionImpl | undefined;
  /** Why the broker refuses it on the current link. */
  refused: NotAuthorizedError | undefined;
  active: boolean;
}

/**
 * Passes events of a connection on at once: in the order of arrival, and before anything more is sent into a dead link.
 */
class StatusTap extends QueuedIteratorImpl<Status> {
  readonly #take: (event: Status) => void;

  constructor(take: (event: Status) => void) {
    super();
    this.#take = take;
  }

  override push(event: Status | (() => void)): void {
    if (typeof event !== "function") this.#take(event);
  }
}

const refusedInbox = "answers come to it; permit it, or name with inboxPrefix what the user may subscribe to";
const partHeader = "Zooid-Part";
const noResponders = 503;

class NatsTransport implements AskingTransport {
  readonly kind = "nats";
  readonly #options: NatsOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners: LinkListeners;
  readonly #requests: PendingRequests<HeadedAnswer>;
  readonly #joiner: Joiner;
  readonly #redial: Redial<NatsAddress, NatsLink>;
  readonly #entries = new Set<NatsSubscription>();
  readonly #onRefused = new Set<(error: NotAuthorizedError) => void>();
  readonly #flushes = new Set<(reason: Error) => void>();
  readonly #inbox: string;
  readonly #id: string;
  #address: string;
  #payloadBytesMax: number = limits.payloadBytesMax;
  #protocol: ProtocolHandler | undefined;
  /** Why no reply can arrive over the current link. */
  #repliesRefused: NotAuthorizedError | undefined;
  #lose: (() => void) | undefined;
  #lastEntry = 0;
  #lastSplit = 0;

  constructor(options: NatsOptions, targets: readonly NatsAddress[], first: NatsAddress) {
    const clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    this.#options = options;
    this.#clock = clock;
    this.#log = options.log ?? silentLog;
    this.#id = random.id();
    this.#inbox = `${options.inboxPrefix ?? "_INBOX"}.${this.#id}.`;
    this.#address = first.text;
    this.#listeners = new LinkListeners(this.#log, "disconnected");
    this.#joiner = new Joiner(clock, this.#log);
    this.#requests = new PendingRequests(clock, (id) => this.#joiner.clear(replyScope(id)));
    this.#redial = new Redial({
      clock,
      random,
      log: this.#log,
      targets,
      dial: (address, signal) => dialNats(address, options, signal),
      serve: (link) => this.#serve(link),
      worse: (a, b) => (isLasting(b) ? b : a),
    });
  }

  async open(): Promise<void> {
    await this.#redial.open(this.#options.waitForFirst);
  }

  get status(): LinkStatus {
    return this.#listeners.status;
  }

  get address(): string {
    return this.#address;
  }

  get problem(): Error | undefined {
    return this.#redial.problem;
  }

  get payloadBytesMax(): number {
    return this.#payloadBytesMax;
  }

  publish(subject: string, payload: Uint8Array): void {
    checkSubject(subject);
    const protocol = this.#linked();
    if (payload.length > this.#payloadBytesMax)
      throw new TooLargeError({ what: subject, size: payload.length, sizeMax: this.#payloadBytesMax });
    protocol.publish(subject, payload);
  }

  async request(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<Uint8Array> {
    return (await this.ask(subject, payload, options)).payload;
  }

  async ask(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<HeadedAnswer> {
    checkSubject(subject);
    this.#linked();
    if (this.#repliesRefused !== undefined) throw this.#repliesRefused;
    const { headers } = options;
    return this.#requests.open(subject, options, (id) => {
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
    if (this.#protocol !== undefined) this.#subscribe(this.#protocol, entry);
    return {
      get refused() {
        return entry.refused;
      },
      unsubscribe: () => {
        if (!entry.active) return;
        entry.active = false;
        this.#entries.delete(entry);
        this.#joiner.clear(entryScope(entry));
        entry.subscription?.unsubscribe();
      },
    };
  }

  onRefused(listener: (error: NotAuthorizedError) => void): () => void {
    this.#onRefused.add(listener);
    return () => this.#onRefused.delete(listener);
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    return this.#listeners.addListener(listener);
  }

  async flush(): Promise<void> {
    const protocol = this.#linked();
    await new Promise<void>((resolve, reject) => {
      this.#flushes.add(reject);
      protocol
        .flush()
        .catch((error: unknown) => Promise.reject(new DisconnectedError({ address: this.#address }, error)))
        .finally(() => this.#flushes.delete(reject))
        .then(resolve, reject);
    });
  }

  async close(timeoutMs?: number): Promise<void> {
    if (this.status === "closed") return;
    const protocol = this.#protocol;
    this.#redial.stop();
    for (const entry of this.#entries) entry.active = false;
    this.#entries.clear();
    this.#requests.failAll(new ClosedError({ what: "transport" }));
    this.#joiner.clear();
    // Published messages are sent before the link ends. The pings of a link that hangs give it up, which ends the
    // flush.
    const flushed = protocol === undefined ? undefined : this.flush().catch(() => undefined);
    this.#listeners.set("closed");
    if (flushed !== undefined) await (timeoutMs === undefined ? flushed : soonerOf(this.#clock, timeoutMs, flushed));
    this.#lose?.();
  }

  /** Uses this link until it is lost. */
  async #serve({ protocol, address }: NatsLink): Promise<void> {
    if (this.status === "closed") {
      abandon(protocol);
      return;
    }
    await new Promise<void>((resolve) => {
      const lose = () => {
        this.#drop(protocol);
        resolve();
      };
      this.#lose = lose;
      protocol.listeners.push(new StatusTap((event) => this.#onEvent(event, lose)));
      if (protocol.connected) this.#take(protocol, address);
      else lose();
    });
  }

  #take(protocol: ProtocolHandler, address: string): void {
    this.#protocol = protocol;
    this.#address = address;
    this.#payloadBytesMax = protocol.info?.max_payload ?? limits.payloadBytesMax;
    this.#repliesRefused = undefined;
    const replies = new SubscriptionImpl(protocol, `${this.#inbox}*`, { callback: (error, message) => this.#onReply(error, message) });
    protocol.subscribe(replies);
    for (const entry of this.#entries) this.#subscribe(protocol, entry);
    this.#log.info({ address }, "linked to NATS");
    this.#listeners.set("connected");
  }

  #drop(protocol: ProtocolHandler): void {
    if (this.#protocol !== undefined && this.#protocol !== protocol) return;
    abandon(protocol);
    if (this.#protocol === undefined) return;
    this.#protocol = undefined;
    this.#lose = undefined;
    const reason = new DisconnectedError({ address: this.#address });
    for (const entry of this.#entries) entry.subscription = undefined;
    for (const reject of this.#flushes) reject(reason);
    this.#flushes.clear();
    this.#joiner.clear();
    this.#requests.failAll(reason);
    if (this.#listeners.set("disconnected")) this.#log.warn({ address: this.#address }, "the link to NATS was lost");
  }

  #onEvent(event: Status, lose: () => void): void {
    if (event.type === "disconnect" || event.type === "staleConnection") lose();
    if (event.type !== "error") return;
    this.#log.warn({ err: event.error, address: this.#address }, "NATS refused something");
    if (event.error instanceof PermissionViolationError && event.error.operation === "publish") {
      const refusal = this.#notAuthorized(event.error);
      this.#requests.failSubject(event.error.subject, refusal);
      for (const refused of this.#onRefused) refused(refusal);
    }
  }

  #notAuthorized(error: PermissionViolationError): NotAuthorizedError {
    const refused = error.operation === "publish" ? "publish" : "subscribe";
    const reason = error.subject.startsWith(this.#inbox) ? refusedInbox : undefined;
    return new NotAuthorizedError({ address: this.#address, subject: error.subject, refused, reason }, error);
  }

  #subscribe(protocol: ProtocolHandler, entry: NatsSubscription): void {
    entry.refused = undefined;
    entry.subscription = new SubscriptionImpl(protocol, entry.subject, {
      // The callback must not throw: that would end the reading of nats.js while the link looks whole.
      callback: (error, message) => this.#onMessage(entry, error, message),
      ...(entry.queue === undefined ? {} : { queue: entry.queue }),
    });
    protocol.subscribe(entry.subscription);
  }

  #onMessage(entry: NatsSubscription, error: Error | null, message: Msg): void {
    if (error instanceof PermissionViolationError) entry.refused = this.#notAuthorized(error);
    if (error !== null || !entry.active) return;
    const payload = this.#joined(entryScope(entry), message);
    if (payload === undefined) return;
    const { subject, reply } = message;
    const answer = reply === undefined || reply === "" ? undefined : (bytes: Uint8Array) => this.#send(reply, bytes, undefined);
    const replyTo = answer === undefined ? undefined : reply;
    handle(this.#log, entry.handler, { subject, payload, reply: answer, headers: message.headers, replyTo });
  }

  #onReply(error: Error | null, message: Msg): void {
    if (error instanceof PermissionViolationError) {
      this.#repliesRefused = this.#notAuthorized(error);
      this.#requests.failAll(this.#repliesRefused);
    }
    if (error !== null) return;
    const id = Number.parseInt(message.subject.slice(this.#inbox.length), 36);
    const subject = this.#requests.subjectOf(id);
    if (subject === undefined) return;
    if (message.data.length === 0 && message.headers?.code === noResponders) {
      this.#requests.fail(id, new DisconnectedError({ address: this.#address, subject }));
      return;
    }
    const payload = this.#joined(replyScope(id), message);
    if (payload !== undefined) this.#requests.resolve(id, { payload, headers: message.headers });
  }

  /** The payload of `message`, or the whole payload if `message` is the last part of one. */
  #joined(scope: string, message: Msg): Uint8Array | undefined {
    const found: MsgHdrs | undefined = message.headers;
    const text = found?.get(partHeader) ?? "";
    if (text === "") return message.data;
    const position = positionFromText(text);
    if (position !== undefined) return this.#joiner.addPart(scope, position, message.data);
    this.#log.warn({ subject: message.subject, position: text.slice(0, 100) }, "a part without a sound position was dropped");
    return undefined;
  }

  #send(subject: string, payload: Uint8Array, reply: string | undefined): void {
    const protocol = this.#linked();
    if (payload.length <= this.#payloadBytesMax) {
      protocol.publish(subject, payload, reply === undefined ? undefined : { reply });
      return;
    }
    for (const { position, bytes } of split(subject, `${this.#id}-${++this.#lastSplit}`, payload, this.#payloadBytesMax)) {
      // Only the last part asks for a reply. Without a subscriber one refusal comes then, not one for each part.
      const last = position.index === position.count - 1;
      protocol.publish(subject, bytes, { headers: partHeaders(position), ...(last && reply !== undefined ? { reply } : {}) });
    }
  }

  #sendHeaded(subject: string, payload: Uint8Array, reply: string, named: Readonly<Record<string, string>>): void {
    const protocol = this.#linked();
    const sent = headers();
    let size = payload.length;
    for (const [name, value] of Object.entries(named)) {
      sent.set(name, value);
      size += name.length + value.length;
    }
    if (size > this.#payloadBytesMax) throw new TooLargeError({ what: subject, size, sizeMax: this.#payloadBytesMax });
    protocol.publish(subject, payload, { headers: sent, reply });
  }

  #linked(): ProtocolHandler {
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    if (this.#protocol === undefined || !this.#protocol.connected) throw new DisconnectedError({ address: this.#address });
    return this.#protocol;
  }
}

function partHeaders(position: PartPosition): MsgHdrs {
  const result = headers();
  result.set(partHeader, positionToText(position));
  return result;
}

const entryScope = (entry: NatsSubscription) => `subscription ${entry.id}`;
const replyScope = (id: number) => `reply ${id}`;
