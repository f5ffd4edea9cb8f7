import { decodeMessage, encodeMessage, isWhole, limits, MalformedMessageError } from "../../core/index.js";

/** WebSocket subprotocol of these frames; another version of the frames gets another name. */
export const subprotocol = "zooid.1";

/** The WebSocket itself refuses a larger frame. Room for a whole message, a subject, and the frame around them. */
export const frameBytesMax = limits.messageBytesMax + 64 * 1024;

const subjectLengthMax = 1024;

/**
 * Frames from a process to the broker it joined; each is a MessagePack array. Each side numbers its own frames from 1.
 * `answer` or `refuse` answers the `request` with its number, `pong` the `ping`. `reply` answers the `message` with its
 * number.
 */
export type ClientFrame =
  | readonly ["publish", subject: string, payload: Uint8Array]
  | readonly ["subscribe", subscription: number, subject: string, queue: string | null]
  | readonly ["unsubscribe", subscription: number]
  | readonly ["request", request: number, subject: string, payload: Uint8Array, timeoutMs: number]
  | readonly ["reply", message: number, payload: Uint8Array]
  | readonly ["ping", ping: number];

/**
 * Frames from the broker: `hello` first, once. `refuse`: the request has no subscriber. A `message` numbered 0 expects
 * no reply.
 */
export type BrokerFrame =
  | readonly ["hello", payloadBytesMax: number]
  | readonly ["message", subscription: number, subject: string, payload: Uint8Array, message: number]
  | readonly ["answer", request: number, payload: Uint8Array]
  | readonly ["refuse", request: number]
  | readonly ["pong", ping: number];

export function encodeFrame(frame: ClientFrame | BrokerFrame): Buffer {
  return encodeMessage(frame);
}

type Shape = "subject" | "bytes" | "number" | "name";

const clientShapes: { readonly [type: string]: readonly Shape[] } = {
  publish: ["subject", "bytes"],
  subscribe: ["number", "subject", "name"],
  unsubscribe: ["number"],
  request: ["number", "subject", "bytes", "number"],
  reply: ["number", "bytes"],
  ping: ["number"],
};

const brokerShapes: { readonly [type: string]: readonly Shape[] } = {
  hello: ["number"],
  message: ["number", "subject", "bytes", "number"],
  answer: ["number", "bytes"],
  refuse: ["number"],
  pong: ["number"],
};

/** Throws MalformedMessageError if `bytes` is no frame. */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  return decode(bytes, clientShapes) as unknown as ClientFrame;
}

/** Throws MalformedMessageError if `bytes` is no frame. */
export function decodeBrokerFrame(bytes: Uint8Array): BrokerFrame {
  return decode(bytes, brokerShapes) as unknown as BrokerFrame;
}

const wrong = (reason: string) => new MalformedMessageError({ what: "frame", reason });

function decode(bytes: Uint8Array, shapes: { readonly [type: string]: readonly Shape[] }): readonly unknown[] {
  const frame = decodeMessage(bytes, "frame");
  if (!Array.isArray(frame)) throw wrong("is not an array");
  const [type, ...fields] = frame as readonly unknown[];
  if (typeof type !== "string" || !Object.hasOwn(shapes, type)) throw wrong("has an unknown type");
  const shape = shapes[type] ?? [];
  if (fields.length !== shape.length) throw wrong(`has ${fields.length} fields, not the ${shape.length} of ${type}`);
  shape.forEach((kind, index) => {
    if (!is(kind, fields[index])) throw wrong(`has a field ${index + 1} that is no ${kind}`);
  });
  return frame as readonly unknown[];
}

function is(kind: Shape, value: unknown): boolean {
  switch (kind) {
    case "subject":
      return typeof value === "string" && value.length <= subjectLengthMax;
    case "name":
      return value === null || (typeof value === "string" && value.length <= limits.nameBytesMax);
    case "bytes":
      return value instanceof Uint8Array;
    case "number":
      return isWhole(value);
  }
}
