/**
 * A codec for each message in actors/protocol/messages.ts. Reading checks every field, because a message from the wire
 * may hold anything; writing trusts its types. Byte fields that were read alias the message.
 */
export * from "./message-codec.js";
export * from "./session-codec.js";
export * from "./object-codec.js";
export * from "./broadcast-codec.js";
