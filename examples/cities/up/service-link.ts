import { CommandError } from "../../../cli/failure.js";
import type { CountryFigures } from "../figures.js";
import { type Clock, delay, onAbort } from "../../../core/index.js";

/** Pause between two looks at a state that sends no events. */
const lookIntervalMs = 20;

/** A read's answer of the example service. */
export interface ReadAnswer {
  readonly key: string;
  readonly city: Readonly<Record<string, string | number>>;
  readonly from: "server" | "cache";
  readonly asOf: { readonly tid: number; readonly time: string };
  readonly connected: boolean;
  readonly connection: string;
  readonly ms: number;
}

/** Figures of a country. `at`: time of the answer, in milliseconds since 1970, with fractions. */
export interface FiguresAnswer extends CountryFigures {
  readonly from: "computed" | "cache";
  readonly ms: number;
  readonly at: number;
}

/**
 * A write's answer. `at`: time at which the commit was known to be durable, in milliseconds since 1970, with fractions.
 */
export interface WriteAnswer {
  readonly key: string;
  readonly tid: number;
  readonly ms: number;
  readonly at: number;
  readonly connection: string;
}

/** How A's cache was brought up to date at its last connection. */
export interface Verification {
  readonly how: string;
  readonly transactions: number;
  readonly elapsedMs: number;
}

export interface ConnectionEvent {
  readonly type: "connection";
  readonly state: string;
  readonly connected: boolean;
  readonly verification?: Verification;
  readonly at: number;
}

export interface ChangedEvent {
  readonly type: "changed";
  readonly key: string;
  readonly tid: number;
  readonly at: number;
}

export type ServiceEvent = ConnectionEvent | ChangedEvent | { readonly type: "reset"; readonly at: number };

/** An example service, over HTTP, with its stream of events. */
export class ServiceLink {
  readonly url: string;
  #ending = new AbortController();
  readonly #waiting = new Set<(event: ServiceEvent) => void>();
  #connection: ConnectionEvent | undefined;

  constructor(url: string) {
    this.url = url;
  }

  /** State of its connection machine, from its last event. */
  get connection(): string {
    return this.#connection?.state ?? "unknown";
  }

  get connected(): boolean {
    return this.#connection?.connected === true;
  }

  /**
   * Resolves when its events flow; none is missed after that. A second call begins a new stream, which starts with the
   * connection.
   */
  async open(): Promise<void> {
    this.#ending.abort();
    const { signal } = (this.#ending = new AbortController());
    const response = await fetch(`${this.url}/events`, { signal });
    if (response.body === null) throw new CommandError("ZOOID_PART_FAILED", `${this.url}/events has no body`);
    const first = this.next((event): event is ConnectionEvent => event.type === "connection", signal);
    void this.#read(response.body).catch(() => undefined);
    await first;
  }

  close(): void {
    this.#ending.abort();
  }

  /** The next event that satisfies `is`. Rejects with the signal's reason. */
  next<T extends ServiceEvent>(is: (event: ServiceEvent) => event is T, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const take = (event: ServiceEvent) => {
        if (!is(event)) return;
        this.#waiting.delete(take);
        stopListening();
        resolve(event);
      };
      this.#waiting.add(take);
      const stopListening = onAbort(signal, () => {
        this.#waiting.delete(take);
        reject(signal.reason as Error);
      });
    });
  }

  /** Resolves when the connection is in the given state, which may be at once. */
  async untilConnected(connected: boolean, signal: AbortSignal): Promise<void> {
    if (this.connected !== connected) await this.nextConnected(connected, signal);
  }

  /** The next event that makes, or loses, the connection. */
  nextConnected(connected: boolean, signal: AbortSignal): Promise<ConnectionEvent> {
    const is = (event: ServiceEvent): event is ConnectionEvent => event.type === "connection" && event.connected === connected;
    return this.next(is, signal);
  }

  /** The state of the bus of its cache of results, as soon as it is one that `is` takes. */
  async untilBus(is: (state: string) => boolean, clock: Clock, signal: AbortSignal): Promise<string> {
    for (;;) {
      const { bus } = await this.#ask<{ readonly bus: string }>("GET", "/state", undefined, signal);
      if (is(bus)) return bus;
      await delay(clock, lookIntervalMs, signal);
    }
  }

  read(key: string, signal: AbortSignal): Promise<ReadAnswer> {
    return this.#ask<ReadAnswer>("GET", pathOf(key), undefined, signal);
  }

  figures(country: string, signal: AbortSignal): Promise<FiguresAnswer> {
    return this.#ask<FiguresAnswer>("GET", `/figures/${encodeURIComponent(country)}`, undefined, signal);
  }

  change(key: string, fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<WriteAnswer> {
    return this.#ask<WriteAnswer>("PATCH", pathOf(key), fields, signal);
  }

  async #ask<T>(method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) {
      const { error } = answer as { error?: { message?: string } };
      throw new CommandError("ZOOID_PART_FAILED", `${method} ${this.url}${path}: ${error?.message ?? response.status}`);
    }
    return answer as T;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of body) {
      const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = /^data: ?(.*)$/m.exec(block)?.[1];
        if (data !== undefined) this.#take(JSON.parse(data) as ServiceEvent);
      }
    }
  }

  #take(event: ServiceEvent): void {
    if (event.type === "connection") this.#connection = event;
    for (const take of this.#waiting) take(event);
  }
}

/**
 * The path of a city at a service: `/city/AD/03/Vila`. It needs no quotes in a shell: the characters that
 * `encodeURIComponent` leaves and a shell interprets are encoded, too.
 */
export function pathOf(key: string): string {
  const encode = (part: string) =>
    encodeURIComponent(part).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `/${key.split("/").map(encode).join("/")}`;
}
