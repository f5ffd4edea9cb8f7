/** Finds out what a client that is not connected lacks, and how to start it. */
import { CapturedSubjectsError, DisconnectedError, UnknownStorageError } from "../../../core/index.js";
import type { Transport } from "../../../transport/transport.js";
import * as wire from "../../protocol/codec.js";
import { serversSubject, storagesSubject, type Storages } from "../../protocol/messages.js";

/** The reason when nothing else is known. */
export const noAnswerYet = "no answer yet";

/** Where a client looks for its server. */
export interface Sought {
  readonly transport: Pick<Transport, "address" | "kind" | "status">;
  readonly realm: string;
  readonly storage: string;
}

/**
 * The error of a client that has no link to its server because of `problem`. It says how to start the missing broker or
 * server, unless the client was connected before.
 */
export function unconnectedError(sought: Sought, problem: Error | undefined, wasConnected: boolean): DisconnectedError {
  const { address, status } = sought.transport;
  const unknown = status === "disconnected" ? noAnswerYet : undefined;
  if (!(problem instanceof DisconnectedError)) return new DisconnectedError({ address, reason: problem?.message ?? unknown }, problem);
  const { reason, missing } = problem;
  const remedy = wasConnected ? undefined : remedyFor(problem, sought);
  return new DisconnectedError({ address, reason, missing, remedy }, problem.cause ?? problem);
}

/** Returns undefined if the missing part is not known, or if the broker is part of a process, as in a test. */
function remedyFor({ missing, remedy }: DisconnectedError, sought: Sought): string | undefined {
  const { kind } = sought.transport;
  if (missing === undefined || (kind !== "nats" && kind !== "websocket")) return undefined;
  if (missing !== "broker") return `start a storage server with: ${serveCommand(sought)}`;
  return remedy === undefined ? undefined : `${remedy}; and a storage server with: ${serveCommand(sought)}`;
}

function serveCommand({ transport: { address, kind }, realm, storage }: Sought): string {
  const isDefault = kind === "nats" && /^(?:127\.0\.0\.1|localhost):4222$/.test(address);
  const servers = isDefault ? "" : ` --servers ${address.includes("://") ? address : `nats://${address}`}`;
  return `npx zooid serve --data ./data${servers}${realm === "zooid" ? "" : ` --realm ${realm}`}${storage === "main" ? "" : ` --storages ${storage}`}`;
}

/** A registration without an answer: where the client looked for its server. */
export interface Unheard extends Sought {
  readonly transport: Transport;
  readonly requestTimeoutMs: number;
}

/** A server that is there answers this question within this time. The client does not wait longer. */
const answerMs = 1_000;

/**
 * Returns an error that says why no server answers a registration: the realm has no server, or none for the storage, or
 * its server is away for a moment. Other servers at the broker cannot distinguish these cases: they know only what they
 * serve themselves. Rejects with CapturedSubjectsError.
 */
export async function explainedUnheard(error: DisconnectedError, sought: Unheard): Promise<DisconnectedError> {
  const { realm, storage, transport } = sought;
  const { address } = transport;
  const because = (missing: string, reason: string, cause: unknown = error) => new DisconnectedError({ address, missing, reason }, cause);
  const unserved = `no server serves storage ${JSON.stringify(storage)} now`;
  const inRealm = await askWhoServes(storagesSubject(realm), sought);
  if (inRealm === "unknown" || (inRealm !== "none" && inRealm.storages.includes(storage))) return because("server", unserved);
  if (inRealm !== "none")
    return because("storage", `${unserved}; a server there serves ${named(inRealm.storages)}`, new UnknownStorageError({ storage }));
  const elsewhere = await askWhoServes(serversSubject, sought);
  if (elsewhere === "none") return because("server", "no storage server answers at this broker");
  const unheard = `no storage server answers in realm ${JSON.stringify(realm)}`;
  if (elsewhere === "unknown" || elsewhere.realm === realm) return because("server", unheard);
  return because("realm", `${unheard}; one in realm ${JSON.stringify(elsewhere.realm)} serves ${named(elsewhere.storages)}`);
}

const named = (storages: readonly string[]): string => storages.map((each) => JSON.stringify(each)).join(", ");

/**
 * `none`: no server answers. `unknown`: there is no answer in time, or the broker does not let this client ask. Rejects
 * with CapturedSubjectsError.
 */
async function askWhoServes(subject: string, { transport, requestTimeoutMs }: Unheard): Promise<Storages | "none" | "unknown"> {
  try {
    const timeoutMs = Math.min(answerMs, requestTimeoutMs);
    return wire.readAnswer(wire.storages, await transport.request(subject, wire.nothing.write({}), { timeoutMs }));
  } catch (error) {
    if (error instanceof CapturedSubjectsError) throw error;
    return error instanceof DisconnectedError && error.isUnheard ? "none" : "unknown";
  }
}
