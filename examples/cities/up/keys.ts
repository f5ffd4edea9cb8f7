import type { ReadStream } from "node:tty";

export interface Keys {
  /** Gives the terminal back as it was. Idempotent. */
  close(): void;
}

/**
 * Calls `press` with each key typed at the terminal, Ctrl-C included (as "\u0003"): in raw mode it is no signal.
 * The terminal is given back on every way out of the process.
 */
export function listenForKeys(terminal: ReadStream, press: (key: string) => void): Keys {
  const take = (data: Buffer) => {
    for (const key of data.toString("utf8")) press(key);
  };
  const close = () => {
    terminal.off("data", take);
    process.off("exit", close);
    if (terminal.isRaw) terminal.setRawMode(false);
    terminal.pause();
  };
  terminal.setRawMode(true);
  terminal.on("data", take);
  terminal.resume();
  process.on("exit", close);
  return { close };
}
