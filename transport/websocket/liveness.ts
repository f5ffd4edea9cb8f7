import type { WebSocket } from "ws";
import { asDurationIfGiven, atLeastOneMs, limits, systemClock } from "../../core/index.js";
import type { LivenessOptions } from "./liveness-options.js";

/**
 * Pings the other end of `socket`, and ends the socket if nothing arrives for too long. Stops when the socket closes.
 */
export function keepAlive(socket: WebSocket, options: LivenessOptions): void {
  const { clock = systemClock, pingsUnansweredMax = limits.pingsUnansweredMax } = options;
  const pingIntervalMs = asDurationIfGiven(options.pingIntervalMs, "pingIntervalMs", atLeastOneMs) ?? limits.pingIntervalMs;
  let unanswered = 0;
  const heard = () => {
    unanswered = 0;
  };
  const beat = () => {
    if (unanswered >= pingsUnansweredMax) {
      socket.terminate();
      return;
    }
    unanswered++;
    socket.ping();
    timer = clock.setTimeout(beat, pingIntervalMs);
  };
  let timer = clock.setTimeout(beat, pingIntervalMs);
  socket.on("message", heard);
  socket.on("ping", heard);
  socket.on("pong", heard);
  socket.once("close", () => clock.clearTimeout(timer));
}
