/** How a server of WebSockets listens, refuses and closes. */
import { once } from "node:events";
import type { Server } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { InvalidOptionError } from "../../core/index.js";

/** A close code of WebSocket. */
const policyViolation = 1008;

/** Resolves when `server` listens. Rejects with an InvalidOptionError of `port`, which has the error as its cause. */
export async function listenAt(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "EADDRINUSE" ? "is taken" : `cannot be listened at: ${error.code ?? error.message}`;
    throw new InvalidOptionError({ option: "port", reason: `${port} of ${host} ${reason}` }, error);
  });
}

/** Resolves when `server` has no connection any more. */
export async function stopListening(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Answers a request for a WebSocket with a status such as `403 Forbidden`. */
export function refuseUpgrade(stream: Duplex, status: string): void {
  // A client that does not wait for the answer resets the connection. Without a listener, that error would end the
  // process.
  stream.on("error", () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
}

/** Closes `socket` because of what its other end has sent. */
export function closeFor(socket: WebSocket, reason: string): void {
  // A close reason has room for 123 bytes.
  socket.close(policyViolation, Buffer.from(reason).subarray(0, 120).toString().replaceAll("\uFFFD", ""));
}
