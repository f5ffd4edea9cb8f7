import type { ConnectionProblem } from "../../../machines/client/connection.js";
import { asTid, BehindError, OtherHistoryError, ServerBehindError, type Tid } from "../../../core/index.js";

/** The error that `problem` is for callers of a client whose cache has seen `last` of `storage`. */
export function errorOfProblem(problem: ConnectionProblem | undefined, storage: string, last: Tid): Error | undefined {
  if (problem === undefined) return undefined;
  if (problem.type === "failed") return problem.error instanceof Error ? problem.error : new Error(String(problem.error));
  const { type, position } = problem.comparison;
  const server = asTid(position.tid);
  if (type === "otherHistory") return new OtherHistoryError({ storage, last });
  // A server that only reads may still reach it. One that writes has lost it, and its clock may be years before the client's last tid.
  if (type === "behind") return new BehindError({ snapshot: last, last: server });
  return new ServerBehindError({ storage, last, server });
}
