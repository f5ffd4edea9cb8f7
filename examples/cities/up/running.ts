/** How something ended, for people: `SIGKILL`, `exit code 1`, the message of an error. */
export interface Ending {
  readonly how: string;
  /** It did not close in time. */
  readonly wasKilled: boolean;
}

/** What a part runs as: a process of its own, or something inside this one. It was started when it was made. */
export interface Running {
  /** Of the process that it runs in. */
  readonly pid: number;
  /** Resolves when it takes work. Rejects with a CommandError when it cannot, or is killed before. */
  readonly ready: Promise<unknown>;
  /** Resolves when it is gone, however it went. */
  readonly ended: Promise<Ending>;
  /** It is not to become ready any more: what it waits for is not waited for. */
  callOff(): void;
  /** Resolves when it has closed properly, or was killed because it did not. */
  stop(): Promise<Ending>;
  /** Ends it, and waits for nothing. */
  kill(): void;
  /** From now on it misses what happens, and keeps what it has on disk. */
  sleep(): Promise<void>;
  /** Resolves when it may go on; connections to it may have to be made anew. */
  wake(): Promise<void>;
}
