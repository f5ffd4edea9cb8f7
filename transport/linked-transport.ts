import {
  type Clock,
  ClosedError,
  DisconnectedError,
  limits,
  type Log,
  soonerOf,
  seamsOf,
  checkSize,
  type SeamOptions,
} from "../core/index.js";
import { LinkListeners } from "./link-listeners.js";
import { PendingRequests } from "./pending-requests.js";
import { Redial, type RedialOptions } from "./redial.js";
import { checkSubject } from "./subject.js";
import type { LinkStatus } from "./transport.js";

/** Options of each transport with a link. `random`: the jitter between dials. */
export interface LinkOptions extends SeamOptions {
  /**
   * True: rejects if no broker accepts this process. False: resolves at once, and tries until a broker is there.
   * `refusal`: tries as well, but rejects if a broker refuses this process within a second. Default: true.
   */
  readonly waitForFirst?: boolean | "refusal" | undefined;
}

/** The addresses of a transport with a link, and what it reaches there. */
export interface LinkTargets<Target> {
  /** For the log. */
  readonly name: string;
  /** The address that is shown before there is a link. */
  readonly firstAddress: string;
  readonly targets: readonly Target[];
  readonly worse?: RedialOptions<Target, unknown>["worse"];
}

/**
 * A transport that has one link at a time, and dials again whenever it is lost: its status, its address, requests and
 * flushes that fail with the link, and its end. The subclass sends and receives.
 */
export abstract class LinkedTransport<Target, Link, Answer = Uint8Array> {
  protected readonly clock: Clock;
  protected readonly log: Log;
  protected readonly requests: PendingRequests<Answer>;
  readonly #name: string;
  readonly #waitForFirst: LinkOptions["waitForFirst"];
  readonly #listeners: LinkListeners;
  readonly #redial: Redial<Target, Link>;
  readonly #flushes = new Set<(reason: Error) => void>();
  #address: string;
  #payloadBytesMax: number = limits.payloadBytesMax;

  constructor(options: LinkOptions, { name, firstAddress, targets, worse }: LinkTargets<Target>) {
    const { clock, random, log } = seamsOf(options);
    this.clock = clock;
    this.log = log;
    this.requests = new PendingRequests(clock, (id) => this.requestEnded(id));
    this.#name = name;
    this.#waitForFirst = options.waitForFirst;
    this.#address = firstAddress;
    this.#listeners = new LinkListeners(log, "disconnected");
    this.#redial = new Redial({
      clock,
      random,
      log,
      targets,
      worse,
      dial: (target, signal) => this.dial(target, signal),
      serve: (link) => this.serve(link),
    });
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

  async open(): Promise<void> {
    await this.#redial.open(this.#waitForFirst);
  }

  publish(subject: string, payload: Uint8Array): void {
    checkSubject(subject);
    this.checkLink();
    checkSize(subject, payload.length, this.#payloadBytesMax);
    this.publishWhole(subject, payload);
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    return this.#listeners.addListener(listener);
  }

  async flush(): Promise<void> {
    this.checkLink();
    await new Promise<void>((resolve, reject) => {
      this.#flushes.add(reject);
      this.ping()
        .finally(() => this.#flushes.delete(reject))
        .then(resolve, reject);
    });
  }

  async close(timeoutMs?: number): Promise<void> {
    if (this.status === "closed") return;
    this.#redial.stop();
    this.forgetSubscriptions();
    this.requests.failAll(new ClosedError({ what: "transport" }));
    // Published messages are at the broker before the link ends. The pings of a link that hangs give it up, which ends
    // the flush.
    const flushed = this.status === "connected" ? this.flush().catch(() => undefined) : undefined;
    this.#listeners.set("closed");
    if (flushed !== undefined) await (timeoutMs === undefined ? flushed : soonerOf(this.clock, timeoutMs, flushed));
    this.endLink();
  }

  /** Makes a link to `target`. */
  protected abstract dial(target: Target, signal: AbortSignal): Promise<Link>;

  /** Uses this link until it is lost. */
  protected abstract serve(link: Link): Promise<void>;

  /** A request has ended without an answer. */
  protected requestEnded(_id: number): void {}

  /** Sends a payload that fits into one message. There is a link. */
  protected abstract publishWhole(subject: string, payload: Uint8Array): void;

  /** Resolves when the broker has processed all that was sent before. Need not settle if the link is lost. */
  protected abstract ping(): Promise<void>;

  /** Takes no message from now on. */
  protected abstract forgetSubscriptions(): void;

  /** Ends the link, if there is one. */
  protected abstract endLink(): void;

  /** Whether messages can be sent over the link. */
  protected abstract get isLinked(): boolean;

  /** Throws ClosedError, DisconnectedError. */
  protected checkLink(): void {
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    if (!this.isLinked) throw new DisconnectedError({ address: this.#address });
  }

  /** The subclass has a new link, and has subscribed over it. */
  protected linked(address: string, payloadBytesMax: number): void {
    this.#address = address;
    this.#payloadBytesMax = payloadBytesMax;
    this.log.info({ address }, `linked to ${this.#name}`);
    this.#listeners.set("connected");
  }

  /** The subclass has no link any more. */
  protected unlinked(): void {
    const address = this.#address;
    const reason = new DisconnectedError({ address });
    for (const reject of this.#flushes) reject(reason);
    this.#flushes.clear();
    this.requests.failAll(reason);
    if (this.#listeners.set("disconnected")) this.log.warn({ address }, `the link to ${this.#name} was lost`);
  }
}
