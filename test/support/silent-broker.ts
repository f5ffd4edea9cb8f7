import { connect } from "node:net";
import type { NatsServer } from "./nats-server.js";

/** A running broker greets within this time, a stopped one never. */
const greetingMsMax = 100;

/** Stops `server` with SIGSTOP and resolves when it no longer answers. Right after the signal it may still answer. */
export async function silence(server: NatsServer): Promise<void> {
  server.pause();
  while (await greets(server.port));
}

/** Whether the server greets a new link: NATS servers send INFO first. */
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
