/** One line of what a service does, as JSON. */
export type OrderEvent =
  | { readonly event: "ready"; readonly service: string }
  | { readonly event: "state"; readonly actor: string; readonly state: string; readonly receipt?: string | undefined }
  /** An actor has processed an event from another process. `id` is different for each event. */
  | { readonly event: "took"; readonly actor: string; readonly type: string; readonly id: string }
  | {
      readonly event: "failed";
      readonly actor: string;
      readonly reason: string;
      readonly next: string;
      readonly restartInMs?: number | undefined;
    }
  /** An order has no payment any more, or got none. */
  | { readonly event: "lost"; readonly actor: string; readonly code: string; readonly reason: string; readonly at: number };

/** Writes such lines. */
export type ReportEvent = (event: OrderEvent) => void;

/** A service that runs until it is closed. */
export interface RunningService {
  close(): Promise<void>;
}

/** The broker of a service, its realm, and where its lines go. */
export interface ServiceOptions {
  readonly servers: string;
  readonly realm: string;
  readonly report: ReportEvent;
  /** See the options of an actor system. */
  readonly heartbeatTimeoutMs?: number | undefined;
}

/** Actors that are done stay at their addresses for this time. */
export const doneForMs = 10_000;
