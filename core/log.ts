import type { Logger } from "pino";

/** Where events are logged: facts first, constant message last. Any pino logger is one. */
export interface Log {
  trace(facts: object, message: string): void;
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  fatal(facts: object, message: string): void;
}

/** Holds at compile time that a pino logger can be passed wherever a Log is asked for. */
export type PinoIsALog = Logger extends Log ? true : never;

const nothing = (): void => undefined;

/** The default of everything that is embedded: a library that was not given a logger says nothing. */
export const silentLog: Log = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};
