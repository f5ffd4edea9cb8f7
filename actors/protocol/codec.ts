/**
 * Bytes of the messages in actors/protocol/messages.ts: a codec for each. Reading checks every field, for whatever comes over
 * a wire may be anything; writing trusts its types. Byte fields of what was read alias the message.
 */
export * from "./message-codec.js";
export * from "./session-codec.js";
export * from "./object-codec.js";
export * from "./broadcast-codec.js";
