import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a client and a server, and can be cut. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Ends all links, and takes no new ones until `mend`. */
  cut(): void;
  /** Links stay open, and nothing passes any more in either direction until `mend`. */
  stall(): void;
  mend(): void;
  close(): Promise<void>;
}

/** A proxy on 127.0.0.1 to `port` there, asked at each new link, as a server may come back on another one. */
export async function startTcpProxy(port: () => number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let state: "whole" | "cut" | "stalled" = "whole";
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
      one.on("data", (bytes) => other.write(bytes));
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
    mend: () => {
      state = "whole";
      for (const socket of sockets) socket.resume();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
