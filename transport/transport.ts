import type { NotAuthorizedError } from "../core/index.js";

/**
 * Messages between processes: bytes on subjects. Knows no machine and no storage.
 *
 * Promises of every transport (testing/suites/transport.ts holds each to them):
 *
 * 1. Order. Messages published through one transport arrive at one receiving transport in the order of publishing, over
 *    all subjects and replies together. Nothing is promised between two publishers, or among members of a queue. Code
 *    that awaits a reply resumes a little later than the reply arrives: handlers of later messages may run before.
 * 2. Loss. At most once: a message may be lost when a link drops, and only then. The transport does not report a lost
 *    message; receivers count for themselves.
 * 3. No silence. Publishing without a link throws DisconnectedError. A request in flight when the link drops rejects at
 *    once with DisconnectedError. A request without a subscriber rejects with it too, and the error names the subject.
 *    A request without an answer in time rejects with TimeoutError, which does not say whether there is a subscriber. A
 *    transport that may not receive its replies rejects all requests with NotAuthorizedError.
 * 4. Size. A publish above payloadBytesMax throws TooLargeError. Requests and replies are split and joined up to
 *    messageBytesMax; a larger one is TooLargeError at the sender, before anything is sent. The parts of a request must
 *    all reach one receiver: above payloadBytesMax it goes to a subject without a queue.
 * 5. Subscribing. A handler gets messages published after `flush` of the subscribing transport resolved; it stays
 *    subscribed over reconnects. A message is delivered asynchronously, never inside the call of `publish`.
 * 6. Errors. A handler that throws or rejects is logged, and no other handler is affected. The requester, if any, gets
 *    InternalError from the actors' envelope or a TimeoutError, never a crash.
 */
export interface Transport {
  readonly kind: "in-process" | "nats" | "websocket" | "faulty";
  readonly status: LinkStatus;
  /** The address of the current link, for people; without a link, the first address. */
  readonly address: string;
  /** Largest payload of one publish, in bytes. */
  readonly payloadBytesMax: number;
  /** Why the last attempt at a link failed; undefined while there is a link, and if the reason cannot be known. */
  readonly problem?: Error | undefined;

  /**
   * Sends `payload` to all subscribers of `subject`, and to one member of each queue. The caller must not change it
   * afterwards. Throws DisconnectedError, TooLargeError, ClosedError.
   */
  publish(subject: string, payload: Uint8Array): void;

  /**
   * Sends `payload` and resolves to the first reply. Rejects with DisconnectedError, TimeoutError, TooLargeError,
   * ClosedError or the signal's reason.
   */
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;

  /**
   * Calls `handler` for each message on `subject`, which may hold `*` (one token) and end in `>` (the rest). With
   * `queue`, each message goes to one of the queue's members.
   */
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;

  /** Calls `listener` at each change of status until the returned function is called. */
  onStatus(listener: (status: LinkStatus) => void): () => void;

  /**
   * Calls `listener` when the broker refuses a subject to publish on, until the returned function is called. Absent if
   * the broker refuses none. A request that is refused rejects by itself.
   */
  onRefused?(listener: (error: NotAuthorizedError) => void): () => void;

  /** Resolves when all earlier publishes and subscriptions have reached the broker. Rejects with DisconnectedError. */
  flush(): Promise<void>;

  /**
   * Delivers the published messages, ends subscriptions, rejects requests in flight with ClosedError. Idempotent. A
   * link that does not respond is dropped after `timeoutMs`; by default, once its pings have no answer.
   */
  close(timeoutMs?: number): Promise<void>;
}

/** Whether there is a link to the broker. `closed` is final. */
export type LinkStatus = "connected" | "disconnected" | "closed";

/** How long to wait for a reply. */
export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** With `queue`, each message goes to one of the subscribers with the same queue. */
export interface SubscribeOptions {
  readonly queue?: string | undefined;
}

/** A subscription calls its handler until it is ended. */
export interface Subscription {
  /** Why the broker refuses it; known once a later `flush` has resolved. A broker without permissions refuses none. */
  readonly refused?: NotAuthorizedError | undefined;
  unsubscribe(): void;
}

/** A message as its receiver gets it. */
export interface Message {
  readonly subject: string;
  /** Owned by the receiver: never changed or reused by the transport. */
  readonly payload: Uint8Array;
  /** Answers a request; undefined if no reply is expected. Split above payloadBytesMax. Throws as `publish` does. */
  readonly reply: ((payload: Uint8Array) => void) | undefined;
}

/**
 * A transport whose messages carry headers, as those of NATS do: a JetStream stream describes a message in its headers.
 * Only NATS has such a transport.
 */
export interface HeadedTransport extends Transport {
  request(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<Uint8Array>;
  subscribe(subject: string, handler: (message: HeadedMessage) => void, options?: SubscribeOptions): Subscription;
}

/** A transport that returns answers with their headers. Headers matter only in answers of the broker itself. */
export interface AskingTransport extends HeadedTransport {
  /** As `request`, for an answer that fits into one message. */
  ask(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<HeadedAnswer>;
}

/** An answer with the headers that the broker gave it. */
export interface HeadedAnswer {
  readonly payload: Uint8Array;
  readonly headers: MessageHeaders | undefined;
}

/** `headers` are sent with the request, by name. The request must then fit into one message. */
export interface HeadedRequestOptions extends RequestOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A message with the headers that the broker gave it. */
export interface HeadedMessage extends Message {
  readonly headers: MessageHeaders | undefined;
  /** The subject that `reply` publishes on. */
  readonly replyTo: string | undefined;
}

/** Headers by name; a missing one is the empty text. */
export interface MessageHeaders {
  /** The first value of that name. */
  get(name: string): string;
  /** The last value of that name. Headers that the broker adds come after those of the publisher. */
  last(name: string): string;
  /** Status of a message that the broker itself wrote; 0 for other messages. */
  readonly code: number;
}
