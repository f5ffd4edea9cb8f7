/** How a part ended, for people: `SIGKILL`, `exit code 1`, or the message of an error. */
export interface Ending {
  readonly how: string;
  /** It did not close in time. */
  readonly wasKilled: boolean;
}

/** A part that was started, as a process of its own or inside this one. */
export interface Running {
  /** Id of its process. */
  readonly pid: number;
  /** Resolves when it is ready. Rejects with a CommandError when it cannot start, or is killed before. */
  readonly ready: Promise<unknown>;
  /** Resolves when it is gone, for any reason. */
  readonly ended: Promise<Ending>;
  /** Ends a start that waits. */
  callOff(): void;
  /** Resolves when it has closed properly, or was killed after a time-out. */
  stop(): Promise<Ending>;
  /** Ends it at once, without waiting. */
  kill(): void;
  /** Suspends it: it misses messages, and keeps its files. */
  sleep(): Promise<void>;
  /** Resolves when it runs again. Connections to it may have to be opened again. */
  wake(): Promise<void>;
}
