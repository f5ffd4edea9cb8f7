import type { Logger } from "pino";

/** Destination of log events: facts first, constant message last. Any pino logger is one. */
export interface Log {
  trace(facts: object, message: string): void;
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  fatal(facts: object, message: string): void;
}

/** Checks at compile time that every pino logger is a Log. */
export type PinoIsALog = Logger extends Log ? true : never;

const nothing = (): void => undefined;

/** Default for everything that is embedded: a library without a logger logs nothing. */
export const silentLog: Log = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};
