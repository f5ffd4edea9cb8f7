/** What was published, where a broker has it. */
export interface PublishedMessage {
  /** Name of its publisher. */
  readonly from: string;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** A subscriber, as the brokers of a cluster know it. */
export interface Subscriber {
  readonly name: string;
  /** When the broker that it is linked to learned of its subscription. */
  readonly sinceMs: number;
}

/** The brokers of a cluster: each end is linked to one of them, and routes carry messages from one to the other. */
export interface Brokers {
  /** The broker of its publisher has `publication` now. */
  took(publication: PublishedMessage): void;
  /** Calls `arrive` when `publication` has reached the broker of `to`, at once if that is the same; never, if it is lost. */
  carry(publication: PublishedMessage, to: Subscriber, arrive: () => void): void;
}

/** One message on its way between two ends, by their names, as it was decided when it was sent. */
export interface SentMessage {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Number of the request, among its sender's, that this is or answers. */
  readonly request: number | undefined;
  /** When each copy arrives, on the monotonic clock; none: it is lost. */
  readonly arrivalsMs: readonly number[];
}
