import { MalformedMessageError, type Position, type Tid } from "../../core/index.js";
import { element } from "./fields.js";
import { messageOf } from "./message.js";

/** Answer to `status`: for people and for the command line. Plain data, times in ms, sizes in bytes. */
export interface ServerStatus {
  readonly instance: string;
  readonly storage: string;
  readonly readOnly: boolean;
  /** Wall clock at the start. It may have been set since; `uptimeMs` says how long the server has been running. */
  readonly startedAt: number;
  readonly uptimeMs: number;
  readonly position: Position;
  /**
   * How far the time of the last tid is ahead of the server's wall clock, in milliseconds. A large value means that the
   * clock was wrong.
   */
  readonly tidsAheadMs: number;
  readonly historyFloor: Tid;
  readonly idFloor: Tid;
  /** The oldest `statusListMax` sessions; `counters` has their number. The same holds for `openTransactions`. */
  readonly sessions: readonly {
    readonly client: string;
    /** Its public id. It does not let a process act for the session. */
    readonly session: string;
    readonly state: string;
    readonly sinceMs: number;
    readonly seenMsAgo: number;
    readonly oldestSnapshot: Tid | undefined;
  }[];
  readonly queue: { readonly transactions: number; readonly keys: number };
  readonly outcomes: number;
  readonly openTransactions: readonly { readonly id: string; readonly client: string; readonly state: string; readonly sinceMs: number }[];
  readonly machines: Readonly<Record<string, string>>;
  readonly counters: Readonly<Record<string, number>>;
}

const uncheckedStatus = element((value, what) => {
  if (typeof value !== "object" || value === null) throw new MalformedMessageError({ what, reason: "is not an object" });
  return value as ServerStatus;
});

/** The status of a server is for people. Its fields are not checked; the size of a message bounds it. */
export const serverStatus = messageOf("status", uncheckedStatus);
