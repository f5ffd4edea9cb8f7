import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A proxy between a client and a server. It can be cut. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Ends all links, and accepts no new ones until `mend`. */
  cut(): void;
  /** Links stay open, but pass nothing in either direction until `mend`. */
  stall(): void;
  /** Delays bytes from the server by `ms` from now on, in their order. */
  lag(ms: number): void;
  mend(): void;
  close(): Promise<void>;
}

/** A proxy on 127.0.0.1. It calls `port` at each new link, since a restarted server may listen on another port. */
export async function startTcpProxy(port: () => number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let state: "whole" | "cut" | "stalled" = "whole";
  let lagMs = 0;
  const server: Server = createServer((near) => {
    if (state === "cut") {
      near.destroy();
      return;
    }
    const far = connect(port(), "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      let lastAt = 0;
      one.on("data", (bytes) => {
        const now = performance.now();
        lastAt = one === far ? Math.max(lastAt, now + lagMs) : now;
        if (lastAt <= now) other.write(bytes);
        else setTimeout(() => other.writable && other.write(bytes), lastAt - now);
      });
      one.on("error", () => undefined);
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      if (state === "stalled") one.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async (): Promise<void> => {
    endAll();
    server.close();
    await once(server, "close");
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      state = "cut";
      endAll();
    },
    stall: () => {
      state = "stalled";
      for (const socket of sockets) socket.pause();
    },
    lag: (ms) => {
      lagMs = ms;
    },
    mend: () => {
      state = "whole";
      for (const socket of sockets) socket.resume();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
