import { WebSocket } from "ws";
import {
  asDurationIfGiven,
  atLeastOneMs,
  ClosedError,
  DisconnectedError,
  type Duration,
  InvalidOptionError,
  limits,
  unreachable,
} from "../../core/index.js";
import { type BrokerFrame, type ClientFrame, decodeBrokerFrame, encodeFrame, frameBytesMax, subprotocol } from "./frames.js";
import { handle } from "../handling.js";
import { LinkedTransport, type LinkOptions } from "../linked-transport.js";
import { checkWhole } from "../parts.js";
import { keepAlive } from "./liveness.js";
import type { LivenessOptions } from "./liveness-options.js";
import { checkPattern, checkQueue, checkSubject } from "../subject.js";
import type { Message, RequestOptions, SubscribeOptions, Subscription, Transport } from "../transport.js";

/** Where a broker is served, and how soon it counts as gone: after `pingsUnansweredMax` pings without an answer. */
export interface WebSocketOptions extends LinkOptions, LivenessOptions {
  /** Where `serveBroker` listens: `ws://host:port/`, or several addresses, tried in turn. */
  readonly url: string | readonly string[];
  readonly dialTimeoutMs?: Duration;
}

/**
 * A transport to a broker inside another process. It keeps its link for ever. Rejects with InvalidOptionError,
 * DisconnectedError.
 */
export async function connectWebSocket(options: WebSocketOptions): Promise<Transport> {
  const urls = typeof options.url === "string" ? options.url.split(",").map((url) => url.trim()) : options.url;
  for (const url of urls) {
    if (!URL.canParse(url) || !/^wss?:$/.test(new URL(url).protocol)) {
      throw new InvalidOptionError({ option: "url", reason: "holds an address that is not ws:// or wss://" });
    }
  }
  for (const option of ["dialTimeoutMs", "pingIntervalMs"] as const) asDurationIfGiven(options[option], option, atLeastOneMs);
  const [first] = urls;
  if (first === undefined) throw new InvalidOptionError({ option: "url", reason: "is empty" });
  const transport = new WebSocketTransport(options, urls, first);
  await transport.open();
  return transport;
}

/** A WebSocket whose broker has sent hello. */
interface SocketLink {
  readonly socket: WebSocket;
  readonly address: string;
  readonly payloadBytesMax: number;
}

interface SocketSubscription {
  readonly number: number;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handler: (message: Message) => void;
}

class WebSocketTransport extends LinkedTransport<string, SocketLink> implements Transport {
  readonly kind = "websocket";
  readonly #options: WebSocketOptions;
  readonly #entries = new Map<number, SocketSubscription>();
  readonly #pings = new Map<number, () => void>();
  #socket: WebSocket | undefined;
  #lastEntry = 0;
  #lastPing = 0;

  constructor(options: WebSocketOptions, targets: readonly string[], first: string) {
    super(options, { name: "the broker over WebSocket", firstAddress: first, targets });
    this.#options = options;
  }

  async request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    checkSubject(subject);
    this.checkLink();
    checkWhole(subject, payload);
    const timeoutMs = Math.ceil(Math.min(Math.max(options.timeoutMs, 0), limits.timerMsMax));
    return this.requests.open(subject, options, (id) => this.#send(["request", id, subject, payload, timeoutMs]));
  }

  subscribe(subject: string, handler: (message: Message) => void, options: SubscribeOptions = {}): Subscription {
    checkPattern(subject);
    if (options.queue !== undefined) checkQueue(options.queue);
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    const entry: SocketSubscription = { number: ++this.#lastEntry, subject, queue: options.queue, handler };
    this.#entries.set(entry.number, entry);
    if (this.status === "connected") this.#send(subscribeFrame(entry));
    return {
      unsubscribe: () => {
        if (this.#entries.delete(entry.number) && this.status === "connected") this.#send(["unsubscribe", entry.number]);
      },
    };
  }

  protected override get isLinked(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  protected override publishWhole(subject: string, payload: Uint8Array): void {
    this.#send(["publish", subject, payload]);
  }

  protected override ping(): Promise<void> {
    return new Promise((resolve) => {
      const number = ++this.#lastPing;
      this.#pings.set(number, resolve);
      this.#send(["ping", number]);
    });
  }

  protected override forgetSubscriptions(): void {
    this.#entries.clear();
  }

  protected override endLink(): void {
    this.#socket?.terminate();
  }

  /** Resolves when the broker at `address` has sent hello. */
  protected override dial(address: string, signal: AbortSignal): Promise<SocketLink> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) throw signal.reason;
      const timeoutMs = asDurationIfGiven(this.#options.dialTimeoutMs, "dialTimeoutMs", atLeastOneMs) ?? limits.dialTimeoutMs;
      const socket = new WebSocket(address, subprotocol, { maxPayload: frameBytesMax, perMessageDeflate: false });
      const fail = (cause: unknown) => {
        settle();
        socket.terminate();
        const reason = cause instanceof Error && cause.message !== "" ? cause.message : undefined;
        reject(new DisconnectedError({ address, reason, missing: "broker" }, cause));
      };
      const settle = () => {
        this.clock.clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        socket.off("message", onMessage);
        socket.off("close", onClose);
      };
      const onAbort = () => fail(signal.reason);
      const onClose = () => fail(new Error("the WebSocket was closed before the broker said hello"));
      const onMessage = (bytes: unknown) => {
        try {
          const frame = decodeBrokerFrame(bytes as Buffer);
          if (frame[0] !== "hello") throw new Error("the broker did not say hello");
          settle();
          // The broker sends nothing more before a request, and requests start after the link was taken over.
          resolve({ socket, address, payloadBytesMax: frame[1] });
        } catch (error) {
          fail(error);
        }
      };
      const timer = this.clock.setTimeout(() => fail(new Error(`nothing was said within ${timeoutMs} ms`)), timeoutMs);
      signal.addEventListener("abort", onAbort, { once: true });
      socket.once("message", onMessage);
      socket.once("close", onClose);
      // Stays for good: an error without a listener would end the process. `close` follows each error.
      socket.on("error", (error) => {
        this.log.debug({ err: error, address }, "a WebSocket failed");
        if (socket.readyState !== WebSocket.OPEN) fail(error);
      });
    });
  }

  protected override async serve({ socket, address, payloadBytesMax }: SocketLink): Promise<void> {
    if (this.status === "closed" || socket.readyState !== WebSocket.OPEN) {
      socket.terminate();
      return;
    }
    const lost = new Promise<void>((resolve) => socket.once("close", () => resolve(this.#drop(socket))));
    keepAlive(socket, this.#options);
    socket.on("message", (bytes) => this.#onFrame(socket, bytes as Buffer));
    this.#socket = socket;
    for (const entry of this.#entries.values()) this.#send(subscribeFrame(entry));
    this.linked(address, payloadBytesMax);
    await lost;
  }

  #drop(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#pings.clear();
    this.unlinked();
  }

  /** The broker reports that the subject of request `id` has no subscriber. */
  #failUnheard(id: number): void {
    const subject = this.requests.subjectOf(id);
    if (subject !== undefined) this.requests.fail(id, new DisconnectedError({ address: this.address, subject }));
  }

  #onFrame(socket: WebSocket, bytes: Buffer): void {
    if (this.#socket !== socket) return;
    try {
      this.#take(socket, decodeBrokerFrame(bytes));
    } catch (error) {
      this.log.error({ err: error, address: this.address }, "the broker sent a frame that is not of the protocol");
      socket.terminate();
    }
  }

  #take(socket: WebSocket, frame: BrokerFrame): void {
    switch (frame[0]) {
      case "message": {
        const [, number, subject, payload, message] = frame;
        const entry = this.#entries.get(number);
        if (entry === undefined) return;
        const reply = message === 0 ? undefined : (answer: Uint8Array) => this.#reply(socket, subject, message, answer);
        handle(this.log, entry.handler, { subject, payload, reply });
        return;
      }
      case "answer":
        this.requests.resolve(frame[1], frame[2]);
        return;
      case "refuse":
        this.#failUnheard(frame[1]);
        return;
      case "pong":
        this.#pings.get(frame[1])?.();
        this.#pings.delete(frame[1]);
        return;
      case "hello":
        return;
      default:
        unreachable(frame);
    }
  }

  #reply(socket: WebSocket, subject: string, message: number, answer: Uint8Array): void {
    this.checkLink();
    // The number means something on its own link only.
    if (this.#socket !== socket) throw new DisconnectedError({ address: this.address });
    checkWhole(`reply to ${subject}`, answer);
    this.#send(["reply", message, answer]);
  }

  #send(frame: ClientFrame): void {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState !== WebSocket.OPEN) throw new DisconnectedError({ address: this.address });
    socket.send(encodeFrame(frame));
    // A broker that reads nothing is as good as gone.
    if (socket.bufferedAmount > limits.bufferedBytesMax) socket.terminate();
  }
}

function subscribeFrame(entry: SocketSubscription): ClientFrame {
  return ["subscribe", entry.number, entry.subject, entry.queue ?? null];
}
