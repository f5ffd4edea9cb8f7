/** Translates a snapshot of the connection machine into a state and an error for users of the client. */
import type { SnapshotFrom } from "xstate";
import type { ConnectionProblem, connectionMachine } from "../../../machines/client/connection.js";
import { asTid, BehindError, OtherHistoryError, ServerBehindError, type Tid } from "../../../core/index.js";

/** State of a connection: the innermost state of its machine. */
export type ConnectionState = "disconnected" | "registering" | "verifying" | "readWrite" | "readOnly" | "backingOff" | "refused" | "closed";

/** The innermost state. A machine that has ended for any reason is closed. */
export function stateOf({ status, value }: SnapshotFrom<typeof connectionMachine>): ConnectionState {
  if (status !== "active") return "closed";
  if (typeof value === "string") return value;
  if (typeof value.attached === "string") return value.attached;
  const { linked } = value.attached;
  return typeof linked === "string" ? linked : linked.connected;
}

/** The error that callers get for `problem`. `last`: the last transaction of `storage` in the client's cache. */
export function errorOfProblem(problem: ConnectionProblem | undefined, storage: string, last: Tid): Error | undefined {
  if (problem === undefined) return undefined;
  if (problem.type === "failed") return problem.error instanceof Error ? problem.error : new Error(String(problem.error));
  const { type, position } = problem.comparison;
  const server = asTid(position.tid);
  if (type === "otherHistory") return new OtherHistoryError({ storage, last });
  // A read-only server may still reach the client's last tid. One that writes has lost it, and its clock may be years
  // behind that tid.
  if (type === "behind") return new BehindError({ snapshot: last, last: server });
  return new ServerBehindError({ storage, last, server });
}
