import type { ShownEvent } from "./kept-service.js";

/** An event as a line for people; undefined: it is not shown. */
export function lineOf(event: ShownEvent): string | undefined {
  switch (event.event) {
    case "started":
      return `${column(event.service)} process ${event.pid} starts`;
    case "ready":
      return `${column(event.service)} is ready`;
    case "ended":
      return `${column(event.service)} process ended with ${event.how}; it starts again in ${event.restartInMs} ms`;
    case "state":
      return `${column(event.actor)} ${event.state}${event.receipt === undefined ? "" : `, ${event.receipt}`}`;
    case "failed":
      return `${column(event.actor)} failed: ${event.reason}; ${event.next}${event.restartInMs === undefined ? "" : ` in ${event.restartInMs} ms`}`;
    case "lost":
      return `${column(event.actor)} has lost its payment (${event.code}) and asks again`;
    case "took":
      return undefined;
  }
}

const column = (name: string) => name.padEnd(28);
