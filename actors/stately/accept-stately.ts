import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { InvalidOptionError, limits, silentLog, systemClock, ZooidError, type SeamOptions, type Seams } from "../../core/index.js";
import { closeFor, listenAt, refuseUpgrade, stopListening } from "../../transport/websocket/listening.js";
import { FrameSender } from "../record/frame-sender.js";
import { type RecordEntry, recordFrame } from "../record/frames.js";
import { DistinctNames } from "./distinct-names.js";
import { StatelyActors } from "./stately-actors.js";
import { readStatelyEvent } from "./stately-event.js";

/** Where applications with `@statelyai/inspect` are accepted, and which web pages. */
export interface AcceptStatelyOptions extends Pick<SeamOptions, "clock" | "log"> {
  /** 0: a free port. Default: 8080, the port in the default address of `createWebSocketInspector`. */
  readonly port?: number;
  /**
   * Web pages that may connect, by their origin. A process that is no browser may always: it sends no origin. Default:
   * none.
   */
  readonly origins?: readonly string[];
  readonly onNotice?: (notice: StatelyNotice) => void;
}

/** An application came, was refused, or was closed because of a message. `origin`: its web page, if it is one. */
export type StatelyNotice =
  | { readonly type: "connected"; readonly instance: string; readonly origin: string | undefined }
  | { readonly type: "refused"; readonly reason: "origin" | "connections"; readonly origin: string | undefined }
  | { readonly type: "closed"; readonly instance: string; readonly reason: string };

/** Applications are accepted until it is closed. */
export interface AcceptedStately {
  /** The address for `createWebSocketInspector`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** "localhost" is either of these. Only processes of this machine reach them. */
const hosts = ["127.0.0.1", "::1"] as const;
/** Connections that have not become a WebSocket count, too. */
const socketsMax = 4 * limits.statelyConnectionsMax;

/**
 * Accepts applications that show their XState actors with `createWebSocketInspector` of `@statelyai/inspect`, on this
 * machine only. Each is an instance of the record that `listener` gets. Contexts, outputs and payloads are not read.
 * Rejects with an InvalidOptionError if it cannot listen.
 */
export async function acceptStately(options: AcceptStatelyOptions, listener: (entry: RecordEntry) => void): Promise<AcceptedStately> {
  const origins = new Set((options.origins ?? []).map(asOrigin));
  const notify = options.onNotice ?? (() => undefined);
  const sockets = new WebSocketServer({ noServer: true, maxPayload: limits.statelyMessageBytesMax });
  const paths = new DistinctNames();
  let instances = 0;
  const onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const { origin } = request.headers;
    if (origin !== undefined && !origins.has(origin)) {
      refuseUpgrade(stream, "403 Forbidden");
      notify({ type: "refused", reason: "origin", origin });
    } else if (sockets.clients.size >= limits.statelyConnectionsMax) {
      refuseUpgrade(stream, "503 Service Unavailable");
      notify({ type: "refused", reason: "connections", origin });
    } else {
      sockets.handleUpgrade(request, stream, head, (socket) => {
        const instance = `stately-${++instances}`;
        notify({ type: "connected", instance, origin });
        follow(socket, { instance, paths, listener, notify, clock: options.clock ?? systemClock, log: options.log ?? silentLog });
      });
    }
  };
  const servers = await listen(options.port ?? 8080, onUpgrade);
  const { port } = servers[0].address() as AddressInfo;
  return {
    port,
    url: `ws://${hosts[0]}:${port}`,
    close: async () => {
      for (const server of servers) server.off("upgrade", onUpgrade);
      for (const socket of sockets.clients) socket.terminate();
      await Promise.all(servers.map(stopListening));
    },
  };
}

/** An origin as browsers send it. */
function asOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.host === "" || !["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "")
    throw new InvalidOptionError({ option: "origins", reason: `has ${JSON.stringify(text)}, not an origin such as http://localhost:5173` });
  return `${url.protocol}//${url.host}`;
}

async function listen(port: number, onUpgrade: (...words: [IncomingMessage, Duplex, Buffer]) => void): Promise<[Server, ...Server[]]> {
  const listening = async (at: number, host: string) => {
    const server = createServer((_, response) => response.writeHead(426, { upgrade: "websocket" }).end());
    server.maxConnections = socketsMax;
    server.on("upgrade", onUpgrade);
    await listenAt(server, at, host);
    return server;
  };
  const first = await listening(port, hosts[0]);
  try {
    return [first, await listening((first.address() as AddressInfo).port, hosts[1])];
  } catch (error) {
    // A machine may have no IPv6. If another program has this port there, "localhost" may be that program.
    const isTaken = error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE";
    if (!isTaken || port === 0) return [first];
    await stopListening(first);
    throw error;
  }
}

interface FollowDeps extends Pick<Seams, "clock" | "log"> {
  readonly instance: string;
  readonly paths: DistinctNames;
  readonly listener: (entry: RecordEntry) => void;
  readonly notify: (notice: StatelyNotice) => void;
}

/** Follows one application until its socket closes. A message that is not of `@statelyai/inspect` closes it. */
function follow(socket: WebSocket, { instance, paths, listener, notify, clock, log }: FollowDeps): void {
  const publish = (_subject: string, payload: Uint8Array) => {
    const entry: RecordEntry = { type: "frame", at: Math.max(0, Math.floor(clock.now())), frame: recordFrame.read(payload) };
    try {
      listener(entry);
    } catch (error) {
      log.error({ err: error }, "a listener of the record failed");
    }
  };
  const transport = { publish, payloadBytesMax: limits.payloadBytesMax };
  const sender = new FrameSender({ realm: "stately", instance, transport, clock, log, onSent: () => undefined });
  const actors = new StatelyActors(sender, paths);
  const close = (reason: string) => {
    closeFor(socket, reason);
    notify({ type: "closed", instance, reason });
  };
  let secondBeganAt = -Infinity;
  let bytesThisSecond = 0;
  const isOverBytes = (bytes: number): boolean => {
    const now = clock.monotonic();
    if (now - secondBeganAt >= 1_000) {
      secondBeganAt = now;
      bytesThisSecond = 0;
    }
    bytesThisSecond += bytes;
    return bytesThisSecond > limits.statelyBytesPerSecondMax;
  };
  sender.push({ type: "begin" });
  sender.push({ type: "end", actors: 0 });
  socket.on("message", (bytes, isBinary) => {
    if (socket.readyState !== socket.OPEN) return;
    const message = bytes as Buffer;
    if (isBinary) close("a message is binary, not text");
    else if (isOverBytes(message.length)) sender.leaveOut("events");
    else {
      try {
        actors.take(readStatelyEvent(message.toString()));
      } catch (error) {
        if (!(error instanceof ZooidError)) log.error({ err: error }, "a message of @statelyai/inspect could not be taken due to a bug");
        close(error instanceof ZooidError ? error.message : "internal error");
      }
    }
  });
  // ws has closed it: a message is too large, or no valid WebSocket message.
  socket.on("error", (error) => notify({ type: "closed", instance, reason: error.message }));
  socket.once("close", () => {
    actors.end();
    sender.push({ type: "bye" });
    sender.flush();
    sender.stop();
  });
}
