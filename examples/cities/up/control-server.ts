import { once } from "node:events";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { failureOf } from "../../../cli/failure.js";
import { portError } from "./ports.js";

/** Actions that are offered over HTTP. */
export interface ControlActions {
  status(): object;
  machines(): Promise<string>;
  /** Mermaid of one machine, with the current state of the actor `of`, if named. */
  machine(name: string, of: string | undefined): Promise<string>;
  stop(part: "server" | "broker"): Promise<void>;
  start(part: "server" | "broker"): Promise<void>;
  scenario(): Promise<object>;
  quit(): void;
}

export interface ControlServer {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

const usage = `GET  /status
GET  /machines
GET  /machines/<name>?of=<client>
POST /server/stop    POST /server/start
POST /broker/stop    POST /broker/start
POST /scenario       POST /quit
`;

const upgradeRefused = "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/**
 * Serves HTTP on the loopback interface. A page of another site cannot use it from a browser on this machine:
 * requests and upgrades with a foreign Host or Origin are refused.
 */
export async function openControlServer(port: number, actions: ControlActions): Promise<ControlServer> {
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  const isForeign = (host: string | undefined, origin: string | undefined) =>
    !hosts.has(host ?? "") || (origin !== undefined && ![...hosts].some((own) => origin === `http://${own}`));

  const app = new Hono();
  app.use(async (context, next) => {
    if (isForeign(context.req.header("host"), context.req.header("origin")))
      return context.text("this port is for this machine only\n", 403);
    return next();
  });
  app.onError((error, context) => {
    const { code, message } = failureOf(error);
    return context.json({ error: { code, message } }, code === "ZOOID_USAGE" || code === "ZOOID_NOT_FOUND" ? 404 : 500);
  });
  app.get("/", (context) => context.text(usage));
  app.get("/status", (context) => context.json(actions.status()));
  app.get("/machines", async (context) => context.text(await actions.machines()));
  app.get("/machines/:name", async (context) => {
    return context.text(await actions.machine(context.req.param("name"), context.req.query("of")));
  });
  app.post("/scenario", async (context) => context.json(await actions.scenario()));
  app.post("/quit", (context) => {
    actions.quit();
    return context.json({ stopping: true });
  });
  app.post("/:part/:what", async (context) => {
    const { part, what } = context.req.param();
    if ((part !== "server" && part !== "broker") || (what !== "stop" && what !== "start")) return context.text(usage, 404);
    await actions[what](part);
    return context.json(actions.status());
  });

  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  // Registered before the broker, so that the broker gets only the WebSockets of this machine.
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => socket.destroy());
    if (isForeign(request.headers.host, request.headers.origin)) socket.destroy();
    // The broker takes upgrades of its path. With a nats-server there is no listener for upgrades.
    else if (request.url !== "/" || server.listenerCount("upgrade") === 1) socket.end(upgradeRefused);
  });
  // The HTTP server no longer counts upgraded sockets as its connections, but its `close` waits for them.
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await once(server.listen(port, "127.0.0.1"), "listening").catch((error: unknown) => {
    throw portError(error, port, "--control-port");
  });
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
