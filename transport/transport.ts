import type { NotAuthorizedError } from "../core/index.js";

/**
 * Messages between places: bytes on subjects. Knows no machine and no storage.
 *
 * What every transport promises (testing/suites/transport.ts holds each to it):
 *
 * 1. Order. Messages published through one transport arrive at one receiving transport in the order of publishing,
 *    over all subjects and replies together. Nothing is promised between two publishers, or among members of a queue.
 *    Code that awaits a reply goes on a little later than the reply arrives: handlers of what came after it may run before.
 * 2. Loss. At most once: a message may be lost when a link drops, and only then. A lost message leaves no gap notice;
 *    receivers count for themselves.
 * 3. No silence. Publishing without a link throws DisconnectedError. A request in flight when the link drops rejects
 *    at once with DisconnectedError; one that nobody is there to take rejects with it too, and names the subject; one without an
 *    answer in time rejects with TimeoutError, which says nothing about who is there. A transport that may not receive its replies
 *    rejects all requests with NotAuthorizedError.
 * 4. Size. A publish above payloadBytesMax throws TooLargeError. Requests and replies are split and joined up to
 *    messageBytesMax; more is TooLargeError at the sender, before anything is sent. The parts of a request must all reach
 *    one receiver: above payloadBytesMax it goes to a subject without a queue.
 * 5. Subscribing. A handler gets messages published after `flush` of the subscribing transport resolved; it stays
 *    subscribed over reconnects. A message is delivered asynchronously, never inside the call of `publish`.
 * 6. Errors. A handler that throws or rejects is logged and hurts nobody; the requester, if any, gets InternalError
 *    from the actors' envelope or a TimeoutError, never a crash.
 */
export interface Transport {
  readonly kind: "in-process" | "nats" | "websocket" | "faulty";
  readonly status: LinkStatus;
  /** Where this transport is linked to, for people; the first address while it is not. */
  readonly address: string;
  /** Largest payload of one publish, in bytes. */
  readonly payloadBytesMax: number;
  /** Why the last attempt at a link failed; undefined while there is one, and where that cannot be known. */
  readonly problem?: Error | undefined;

  /** Sends `payload` to all subscribers of `subject`, and to one member of each queue. It is not to be changed afterwards. Throws DisconnectedError, TooLargeError, ClosedError. */
  publish(subject: string, payload: Uint8Array): void;

  /** Sends `payload` and resolves to the first reply. Rejects with DisconnectedError, TimeoutError, TooLargeError, ClosedError or the signal's reason. */
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;

  /**
   * Calls `handler` for each message on `subject`, which may hold `*` (one token) and end in `>` (the rest).
   * With `queue`, each message goes to one of the queue's members.
   */
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;

  /** Calls `listener` at each change of status until the returned function is called. */
  onStatus(listener: (status: LinkStatus) => void): () => void;

  /**
   * Calls `listener` when the broker refuses a subject to publish on, until the returned function is called. Absent where no broker refuses any:
   * a request that is refused rejects by itself.
   */
  onRefused?(listener: (error: NotAuthorizedError) => void): () => void;

  /** Resolves when all that was published and subscribed before has reached the broker. Rejects with DisconnectedError. */
  flush(): Promise<void>;

  /**
   * Delivers what was published, ends subscriptions, rejects requests in flight with ClosedError. Idempotent.
   * A link that says nothing is given up after `timeoutMs`, by default once its pings have no answer.
   */
  close(timeoutMs?: number): Promise<void>;
}

/** Whether there is a link to the broker; `closed` is for good. */
export type LinkStatus = "connected" | "disconnected" | "closed";

/** How long a reply is waited for. */
export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** With `queue`, each message goes to one of the subscribers that name the same. */
export interface SubscribeOptions {
  readonly queue?: string | undefined;
}

/** Calls its handler until it is ended. */
export interface Subscription {
  /** Why the broker refuses it; known once a `flush` that followed it has resolved. A broker without permissions refuses none. */
  readonly refused?: NotAuthorizedError | undefined;
  unsubscribe(): void;
}

/** A message as its receiver gets it. */
export interface Message {
  readonly subject: string;
  /** Owned by the receiver: never changed or reused by the transport. */
  readonly payload: Uint8Array;
  /** Answers a request; undefined when none was asked for. Split above payloadBytesMax. Throws as `publish` does. */
  readonly reply: ((payload: Uint8Array) => void) | undefined;
}

/**
 * A transport whose messages carry headers, as those of NATS do: what a stream of JetStream says of a message stands there.
 * Another transport than NATS has none.
 */
export interface HeadedTransport extends Transport {
  request(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<Uint8Array>;
  subscribe(subject: string, handler: (message: HeadedMessage) => void, options?: SubscribeOptions): Subscription;
}

/** A transport whose answers are given with their headers: where they matter, the answers are the broker's own. */
export interface AskingTransport extends HeadedTransport {
  /** As `request`, for an answer that fits into one message. */
  ask(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<HeadedAnswer>;
}

/** An answer with what the broker says of it. */
export interface HeadedAnswer {
  readonly payload: Uint8Array;
  readonly headers: MessageHeaders | undefined;
}

/** `headers` by name go with the request, which must fit into one message then. */
export interface HeadedRequestOptions extends RequestOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A message with what the broker says of it. */
export interface HeadedMessage extends Message {
  readonly headers: MessageHeaders | undefined;
  /** Subject that `reply` goes to. */
  readonly replyTo: string | undefined;
}

/** Headers by name; the empty text where there is none. */
export interface MessageHeaders {
  /** The first of that name. */
  get(name: string): string;
  /** The last of that name: what the broker adds stands behind what the publisher wrote. */
  last(name: string): string;
  /** Status of a message that the broker itself wrote, else 0. */
  readonly code: number;
}
