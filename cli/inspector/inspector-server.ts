/** Accepts applications that use `createWebSocketInspector` of `@statelyai/inspect`, from this machine alone. */
import { once } from "node:events";
import { WebSocketServer } from "ws";
import type { RecordEntry } from "../../actors/index.js";
import { type Clock, limits } from "../../core/index.js";
import { CommandError } from "../failure.js";
import { InspectedApp } from "./inspected-app.js";

export interface InspectorOptions {
  readonly port: number;
  /** Origins of pages that may connect, beside those of this machine. A program that is no browser sends none. */
  readonly origins: readonly string[];
  readonly clock: Clock;
  /** Prints a line for the person at the terminal. */
  readonly say: (line: string) => void;
}

export interface InspectorServer {
  /** The port, also when 0 was given. */
  readonly port: number;
  /** Calls `listener` with the records of all applications, until the returned function is called. */
  watch(listener: (entry: RecordEntry) => void): () => void;
  close(): Promise<void>;
}

const localHosts = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Throws a CommandError when the port is taken. */
export async function serveInspector({ port, origins, clock, say }: InspectorOptions): Promise<InspectorServer> {
  const listeners = new Set<(entry: RecordEntry) => void>();
  const apps = new Set<InspectedApp>();
  const emit = (entry: RecordEntry) => {
    for (const listener of listeners) listener(entry);
  };
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port,
    maxPayload: limits.inspectorMessageBytesMax,
    verifyClient: ({ origin }: { readonly origin?: string }, answer) => {
      if (apps.size >= limits.inspectorAppsMax) answer(false, 503, "too many applications");
      else if (isAllowed(origin, origins)) answer(true);
      else {
        say(`zooid: a page of ${JSON.stringify(origin)} was refused: --inspector-origins allows it`);
        answer(false, 403, "this origin is not allowed");
      }
    },
  });
  let count = 0;
  server.on("connection", (socket) => {
    const app = new InspectedApp(`app-${++count}`, clock, emit);
    apps.add(app);
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!isBinary) app.take(data.toString());
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      apps.delete(app);
      app.end();
    });
  });
  try {
    await once(server, "listening");
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const reason = code === "EADDRINUSE" ? "is taken by another process" : `cannot be opened: ${code}`;
    throw new CommandError("ZOOID_FILE", `port ${port} for inspected applications ${reason}`, { port }, error);
  }
  server.on("error", () => undefined);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      for (const socket of server.clients) socket.terminate();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function isAllowed(origin: string | undefined, origins: readonly string[]): boolean {
  if (origin === undefined || origin === "") return true;
  if (origins.includes(origin)) return true;
  return URL.canParse(origin) && localHosts.has(new URL(origin).hostname);
}
