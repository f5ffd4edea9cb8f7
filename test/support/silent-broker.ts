import { connect } from "node:net";
import type { NatsServer } from "./nats-server.js";

/** A broker that runs greets within this, one that is stopped never. */
const greetingMsMax = 100;

/** Stops `server` in its tracks. Resolves when nothing of it runs any more: the signal alone may still find it answering. */
export async function silence(server: NatsServer): Promise<void> {
  server.pause();
  while (await greets(server.port));
}

/** Whether it says who it is to a new link, as NATS servers do first of all. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const answer = (isGreeted: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isGreeted);
    };
    const timer = setTimeout(() => answer(false), greetingMsMax);
    socket.once("data", () => answer(true));
    socket.once("error", () => answer(false));
  });
}
