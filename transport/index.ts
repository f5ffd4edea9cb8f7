/** Messages between places: the interface, and its implementations. */
export type * from "./bucket.js";
export type * from "./bus.js";
export * from "./in-process.js";
export * from "./in-process-bus.js";
export * from "./jetstream-bus.js";
export * from "./nats.js";
export type { NatsDialOptions, NatsTls } from "./nats-dial.js";
export * from "./open.js";
export * from "./plain-nats-bus.js";
export * from "./subject.js";
export type * from "./transport.js";
export * from "./websocket.js";
export * from "./websocket-broker.js";
