/** A published message that a broker has taken. */
export interface PublishedMessage {
  /** Name of its publisher. */
  readonly from: string;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** A subscriber, as the brokers of a cluster know it. */
export interface Subscriber {
  readonly name: string;
  /** When the subscriber's broker learned of the subscription. */
  readonly sinceMs: number;
}

/** The brokers of a cluster. Each end is linked to one of them, and routes carry messages between them. */
export interface Brokers {
  /** Called when the publisher's broker has received `publication`. */
  took(publication: PublishedMessage): void;
  /**
   * Calls `arrive` when `publication` reaches the broker of `to`: at once if both have the same broker, never if it is
   * lost.
   */
  carry(publication: PublishedMessage, to: Subscriber, arrive: () => void): void;
}

/** One message between two ends, given by their names, with the fate that was drawn when it was sent. */
export interface SentMessage {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Number of the request that this message is or answers; the sender counts its requests. */
  readonly request: number | undefined;
  /** When each copy arrives, on the monotonic clock. Empty: the message is lost. */
  readonly arrivalsMs: readonly number[];
}
