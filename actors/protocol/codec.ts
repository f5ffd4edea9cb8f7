/** All that a client and a server write and read: imported as `wire`. */
export * from "./answers.js";
export type { Codec } from "./message.js";
export * from "./messages.js";
