/** Codec of the messages on `.invalidations`. */
import { decodeMessage, encodeMessage, limits, MalformedMessageError } from "../../core/index.js";
import * as shape from "./checks.js";
import { invalidation, invalidationFields, position } from "./fields.js";
import type { Codec } from "./message-codec.js";
import type * as m from "./messages.js";
import { serverRoles } from "./messages.js";

/**
 * Whether `bytes` can be a heartbeat, without decoding: a server that only listens for other writers needs no other
 * messages.
 */
export function mayBeHeartbeat(bytes: Uint8Array): boolean {
  // A short array that begins with the string "h".
  return bytes[0] !== undefined && (bytes[0] & 0xf0) === 0x90 && bytes[1] === 0xa1 && bytes[2] === 0x68;
}

export const broadcast: Codec<m.Broadcast> = {
  write(message) {
    switch (message.type) {
      case "invalidations":
        return encodeMessage(["i", message.instance, message.transactions.map(invalidationFields)]);
      case "heartbeat":
        return encodeMessage([
          "h",
          message.instance,
          message.startedAt,
          message.links,
          message.readOnly,
          message.role,
          message.position.tid,
          message.position.digest,
        ]);
      case "goodbye":
        return encodeMessage(["g", message.instance]);
    }
  },
  read(bytes) {
    const message = decodeMessage(bytes, "broadcast");
    const type: unknown = Array.isArray(message) ? message[0] : undefined;
    if (type === "i") {
      const [, instance, transactions] = shape.fields(message, "invalidations", 3);
      return {
        type: "invalidations",
        instance: shape.name(instance, "invalidations.instance"),
        transactions: shape.list(transactions, "invalidations.transactions", limits.replayTransactionsMax).map(invalidation),
      };
    }
    if (type === "h") {
      const [, instance, startedAt, links, readOnly, role, tid, digest] = shape.fields(message, "heartbeat", 8);
      return {
        type: "heartbeat",
        instance: shape.name(instance, "heartbeat.instance"),
        startedAt: shape.count(startedAt, "heartbeat.startedAt"),
        links: shape.count(links, "heartbeat.links"),
        readOnly: shape.flag(readOnly, "heartbeat.readOnly"),
        role: shape.oneOf(role, "heartbeat.role", serverRoles),
        position: position(tid, digest, "heartbeat.position"),
      };
    }
    if (type === "g") {
      const [, instance] = shape.fields(message, "goodbye", 2);
      return { type: "goodbye", instance: shape.name(instance, "goodbye.instance") };
    }
    throw new MalformedMessageError({ what: "broadcast", reason: "is of no known type" });
  },
};
