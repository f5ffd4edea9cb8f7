/** Messages between places: the interface, and its implementations. */
export type * from "./bucket.js";
export type * from "./bus.js";
export * from "./in-process.js";
export * from "./in-process-bus.js";
export * from "./nats/nats.js";
export type { NatsDialOptions, NatsTls } from "./nats/dial.js";
export * from "./open.js";
export * from "./subject.js";
export type * from "./transport.js";
export * from "./websocket/websocket.js";
export * from "./websocket/broker.js";
