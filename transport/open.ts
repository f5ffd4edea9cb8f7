import { InvalidOptionError } from "../core/index.js";
import { connectNats, type NatsOptions } from "./nats/nats.js";
import type { Transport } from "./transport.js";
import { connectWebSocket } from "./websocket/websocket.js";

/** Options of either transport. The options that authenticate to NATS are refused with a WebSocket address. */
export type OpenTransportOptions = NatsOptions;

/** Options of a transport that a client and a cache have too: they authenticate to NATS, or say how it is reached. */
export const natsOptionNames = ["user", "password", "token", "tls", "resolve", "inboxPrefix"] as const;

/** Options that authenticate to NATS; a broker reached over WebSocket needs none. */
const credentials = ["user", "password", "token", "tls"] as const;

/**
 * A transport to `servers`. The scheme selects it: `nats://`, `tls://` or none is NATS, `ws://` or `wss://` a broker
 * that `serveBroker` serves. Rejects with InvalidOptionError, NotAuthorizedError, DisconnectedError.
 */
export async function openTransport(options: OpenTransportOptions): Promise<Transport> {
  const servers = (typeof options.servers === "string" ? options.servers.split(",") : options.servers).map((server) => server.trim());
  const kinds = new Set(servers.map(kindOf));
  if (kinds.size > 1) throw new InvalidOptionError({ option: "servers", reason: "mixes NATS and WebSocket addresses" });
  if (!kinds.has("websocket")) return connectNats({ ...options, servers });
  for (const option of credentials) {
    if (options[option] !== undefined) throw new InvalidOptionError({ option, reason: "is for NATS, not for WebSocket" });
  }
  return connectWebSocket({ ...options, url: servers });
}

function kindOf(server: string): "nats" | "websocket" {
  const scheme = /^([^/]*):\/\//.exec(server)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
    case "nats":
    case "tls":
      return "nats";
    case "ws":
    case "wss":
      return "websocket";
    default:
      throw new InvalidOptionError({ option: "servers", reason: `holds ${scheme}://, which is not nats://, tls://, ws:// or wss://` });
  }
}
