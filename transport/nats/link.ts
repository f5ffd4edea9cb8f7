import {
  type ConnectionOptions,
  type Msg,
  parseOptions,
  ProtocolHandler,
  type PublishOptions,
  QueuedIteratorImpl,
  type ServerInfo,
  setTransportFactory,
  type Status,
  SubscriptionImpl,
} from "nats";
import { NodeTransport, nodeResolveHost } from "nats/lib/node_transport.js";
import { abortable } from "../../core/aborting.js";
import type { Subscription } from "../transport.js";

/** Receiver of the messages of a subject. */
export interface LinkSubscription {
  /** Must not throw: that would end the reading of nats.js while the link looks whole. */
  readonly callback: (error: Error | null, message: Msg) => void;
  readonly queue: string | undefined;
}

/**
 * One connection to one server, until it is lost. It never dials again by itself.
 *
 * This is the only file that uses internals of nats.js: the protocol handler, which its `connect` wraps, and the
 * transport with the socket. The contract test `test/platform/nats-internals-nats.test.ts` names what it relies on.
 * `connect` cannot be cancelled, leaves a socket open for ever to a server that accepts and sends nothing, forgets the
 * addresses that did not answer at first, drops messages that are published meanwhile, and never gives up a dead link
 * whose send buffer is full.
 */
export class NatsLink {
  /** The address to dial, `host:port`. */
  readonly address: string;
  readonly #host: string;
  readonly #protocol: ProtocolHandler;

  /** `host` is the IP address in `address`. */
  constructor(host: string, address: string, options: ConnectionOptions) {
    this.address = address;
    this.#host = host;
    const all = { ...options, servers: [address], noRandomize: true, reconnect: false, ignoreClusterUpdates: true, noAsyncTraces: true };
    const protocol = new ProtocolHandler(parseOptions(all), { publish: (...message) => protocol.publish(...message) });
    this.#protocol = protocol;
  }

  /**
   * Dials once. `tlsName` is the name that the server's certificate must have; undefined: the IP address. Rejects as
   * nats.js does, or with the signal's reason; call `abandon` then.
   */
  async dial(tlsName: string | undefined, signal: AbortSignal): Promise<void> {
    const server = this.#protocol.servers.getCurrentServer();
    if (tlsName !== undefined) server.tlsName = tlsName;
    this.#protocol.server = server;
    // `dial` calls the factory before it returns, so that no other link gets this transport.
    setTransportFactory({ factory: () => new VerifyingTransport(this.#host), dnsResolveFn: nodeResolveHost });
    await abortable(this.#protocol.dial(server), signal);
  }

  get isConnected(): boolean {
    return this.#protocol.connected;
  }

  /** The server's greeting; undefined: it has not come. */
  get server(): ServerInfo | undefined {
    return this.#protocol.info;
  }

  /**
   * Calls `take` with each event at once: in the order of arrival, and before anything more is sent into a dead link.
   */
  onStatus(take: (event: Status) => void): void {
    this.#protocol.listeners.push(new StatusTap(take));
  }

  subscribe(subject: string, { callback, queue }: LinkSubscription): Subscription {
    return this.#protocol.subscribe(new SubscriptionImpl(this.#protocol, subject, { callback, ...(queue === undefined ? {} : { queue }) }));
  }

  publish(subject: string, payload: Uint8Array, options?: PublishOptions): void {
    this.#protocol.publish(subject, payload, options);
  }

  /** Resolves when the server has taken everything that was sent. */
  flush(): Promise<void> {
    return this.#protocol.flush();
  }

  /** Closes the connection without a message to the server. Its socket is closed when this returns, in any state. */
  abandon(): void {
    this.#protocol.raceTimer?.cancel();
    this.#protocol.heartbeats.cancel();
    this.#protocol.transport.discard();
    this.#protocol.resetOutbound();
    void this.#protocol.close();
  }
}

/** Whether `error` of `dial` means that the server closed the connection before its greeting. */
export function isClosedEarly(error: unknown): boolean {
  return error instanceof Error && error.message === "error connecting - node provided an undefined error";
}

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

/**
 * Checks the certificate of a server that was reached by an IP address against that address. Without a host, Node
 * checks for "localhost".
 */
class VerifyingTransport extends NodeTransport {
  readonly #host: string;

  constructor(host: string) {
    super();
    this.#host = host;
  }

  override startTLS(): ReturnType<NodeTransport["startTLS"]> {
    // Passed to Node's TLS, which prefers the name of the address or `tls.serverName`, if there is one.
    this.options = { ...this.options, tls: Object.assign({ host: this.#host }, this.options.tls) };
    return super.startTLS();
  }
}
