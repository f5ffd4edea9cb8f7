import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import {
  asDurationIfGiven,
  atLeastOneMs,
  DisconnectedError,
  InvalidOptionError,
  limits,
  type Log,
  silentLog,
  unreachable,
  ZooidError,
} from "../../core/index.js";
import { type BrokerFrame, type ClientFrame, decodeClientFrame, encodeFrame, frameBytesMax, subprotocol } from "./frames.js";
import type { Broker } from "../in-process.js";
import { closeFor, listenAt, refuseUpgrade, stopListening } from "./listening.js";
import { keepAlive } from "./liveness.js";
import type { LivenessOptions } from "./liveness-options.js";
import type { Message, Subscription, Transport } from "../transport.js";

/**
 * The processes that may join a broker, and where. A client that does not read or answer pings within the bounds is cut
 * off.
 */
export interface ServeBrokerOptions extends LivenessOptions {
  readonly broker: Broker;
  /** HTTP server that takes the WebSockets. Default: a new one that listens at `port` and `host`. */
  readonly server?: Server;
  /** 0: a free port. */
  readonly port?: number;
  /** Default: 127.0.0.1. Every process that reaches this address is trusted. */
  readonly host?: string;
  /** Path of the WebSocket. Default: `/`. */
  readonly path?: string;
  /**
   * Web pages that may join, by their origin. Default: none, because any page open in a browser could reach a loopback
   * address.
   */
  readonly origins?: readonly string[];
  readonly bufferedBytesMax?: number;
  readonly log?: Log;
}

/** A broker that other processes can join, until it is closed. */
export interface ServedBroker {
  /** The address for `connectWebSocket`. */
  readonly url: string;
  readonly port: number;
  /** Disconnects all clients and takes no more. The broker keeps running. */
  close(): Promise<void>;
}

/** Lets other processes join `broker` over WebSocket. Rejects if it cannot listen. */
export async function serveBroker(options: ServeBrokerOptions): Promise<ServedBroker> {
  if (options.server !== undefined && options.port !== undefined) {
    throw new InvalidOptionError({ option: "port", reason: "cannot be given with a server" });
  }
  asDurationIfGiven(options.pingIntervalMs, "pingIntervalMs", atLeastOneMs);
  const path = options.path ?? "/";
  const host = options.host ?? "127.0.0.1";
  const server = options.server ?? createServer((_, response) => response.writeHead(426, { upgrade: "websocket" }).end());
  if (options.server === undefined) {
    await listenAt(server, options.port ?? 0, host);
  }
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: frameBytesMax,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    if (new URL(request.url ?? "/", "http://localhost").pathname !== path) {
      // Other paths of the application's own server belong to its other handlers.
      if (options.server === undefined) refuseUpgrade(stream, "404 Not Found");
      return;
    }
    const refusal = whyRefused(request, options);
    if (refusal === undefined) sockets.handleUpgrade(request, stream, head, (socket) => new SocketSession(socket, options));
    else refuseUpgrade(stream, refusal);
  };
  server.on("upgrade", onUpgrade);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `ws://${host.includes(":") ? `[${host}]` : host}:${port}${path}`,
    close: async () => {
      server.off("upgrade", onUpgrade);
      for (const socket of sockets.clients) socket.terminate();
      if (options.server !== undefined || !server.listening) return;
      await stopListening(server);
    },
  };
}

function whyRefused(request: IncomingMessage, options: ServeBrokerOptions): string | undefined {
  const { origin } = request.headers;
  if (origin !== undefined && !(options.origins ?? []).includes(origin)) return "403 Forbidden";
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(subprotocol)) return "400 Bad Request";
  return options.broker.running ? undefined : "503 Service Unavailable";
}

/**
 * One process that joined: a transport of the broker, driven by the frames of the process. Invalid frames close it, and
 * no other session.
 */
class SocketSession {
  readonly #socket: WebSocket;
  readonly #transport: Transport;
  readonly #log: Log;
  readonly #bufferedBytesMax: number;
  readonly #subscriptions = new Map<number, Subscription>();
  /** Requests of other processes that this process has not answered yet, oldest first. */
  readonly #owed = new Map<number, NonNullable<Message["reply"]>>();
  #gone = false;
  #requests = 0;
  #lastMessage = 0;

  constructor(socket: WebSocket, options: ServeBrokerOptions) {
    this.#socket = socket;
    this.#log = options.log ?? silentLog;
    this.#transport = options.broker.connect(this.#log);
    this.#bufferedBytesMax = options.bufferedBytesMax ?? limits.bufferedBytesMax;
    keepAlive(socket, options);
    // The broker was stopped: processes that joined through here have lost their link too.
    this.#transport.onStatus(() => socket.terminate());
    socket.on("message", (bytes, isBinary) => this.#onFrame(bytes as Buffer, isBinary));
    socket.on("error", (error) => this.#log.warn({ err: error }, "a WebSocket failed"));
    socket.once("close", () => {
      this.#gone = true;
      void this.#transport.close();
    });
    this.#send(["hello", options.broker.payloadBytesMax]);
  }

  #onFrame(bytes: Buffer, isBinary: boolean): void {
    if (this.#gone || this.#transport.status !== "connected") return;
    try {
      if (!isBinary) throw new InvalidOptionError({ option: "frame", reason: "is text, not MessagePack" });
      this.#take(decodeClientFrame(bytes));
    } catch (error) {
      if (!(error instanceof ZooidError)) this.#log.error({ err: error }, "a frame could not be handled");
      else this.#log.warn({ err: error }, "a WebSocket was closed for a frame that it sent");
      this.#refuse(error instanceof ZooidError ? `${error.code}: ${error.message}` : "internal error");
    }
  }

  #take(frame: ClientFrame): void {
    switch (frame[0]) {
      case "publish":
        this.#transport.publish(frame[1], frame[2]);
        return;
      case "subscribe":
        this.#subscribe(frame[1], frame[2], frame[3]);
        return;
      case "unsubscribe":
        this.#subscriptions.get(frame[1])?.unsubscribe();
        this.#subscriptions.delete(frame[1]);
        return;
      case "request":
        this.#request(frame[1], frame[2], frame[3], frame[4]);
        return;
      case "reply": {
        const reply = this.#owed.get(frame[1]);
        this.#owed.delete(frame[1]);
        reply?.(frame[2]);
        return;
      }
      case "ping":
        this.#send(["pong", frame[1]]);
        return;
      default:
        unreachable(frame);
    }
  }

  #subscribe(number: number, subject: string, queue: string | null): void {
    if (this.#subscriptions.has(number)) throw new InvalidOptionError({ option: "subscription", reason: `${number} is there already` });
    if (this.#subscriptions.size >= limits.socketSubscriptionsMax) {
      throw new InvalidOptionError({ option: "subscription", reason: `is one more than ${limits.socketSubscriptionsMax}` });
    }
    const handler = (message: Message) => this.#send(["message", number, message.subject, message.payload, this.#owe(message.reply)]);
    this.#subscriptions.set(number, this.#transport.subscribe(subject, handler, queue === null ? {} : { queue }));
  }

  #owe(reply: Message["reply"]): number {
    if (reply === undefined) return 0;
    const number = ++this.#lastMessage;
    this.#owed.set(number, reply);
    if (this.#owed.size > limits.socketRequestsMax) {
      // The oldest request has most likely timed out at its requester.
      for (const oldest of this.#owed.keys()) {
        this.#owed.delete(oldest);
        break;
      }
    }
    return number;
  }

  #request(number: number, subject: string, payload: Uint8Array, timeoutMs: number): void {
    if (this.#requests >= limits.socketRequestsMax) {
      throw new InvalidOptionError({ option: "request", reason: `is one more than ${limits.socketRequestsMax} under way` });
    }
    this.#requests++;
    this.#transport
      .request(subject, payload, { timeoutMs })
      .then(
        (answer) => this.#send(["answer", number, answer]),
        (error: unknown) => {
          if (this.#gone) return;
          if (error instanceof DisconnectedError && error.isUnheard) this.#send(["refuse", number]);
          // A request without an answer ends by the requester's own clock.
          else if (error instanceof ZooidError && !error.transient) this.#refuse(`${error.code}: ${error.message}`);
        },
      )
      .finally(() => this.#requests--);
  }

  #send(frame: BrokerFrame): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeFrame(frame));
    if (this.#socket.bufferedAmount <= this.#bufferedBytesMax) return;
    this.#log.warn({ bufferedBytes: this.#socket.bufferedAmount }, "a slow reader was cut off");
    this.#socket.terminate();
  }

  #refuse(reason: string): void {
    closeFor(this.#socket, reason);
    this.#gone = true;
    void this.#transport.close();
  }
}
