import { connect, type ObjectClient } from "../index.js";
import { abortable, systemRandom } from "../core/index.js";
import { brokerOf, type ConnectionFlags, logOf } from "./connection.js";
import type { Surroundings } from "./surroundings.js";

/** A running server answers within this time. */
const answerTimeoutMs = 10_000;

/** Runs `use` with a client without a folder, and closes the client at the end or when the command is interrupted. */
export async function withStore<T>(flags: ConnectionFlags, { signal }: Surroundings, use: (store: ObjectClient) => Promise<T>): Promise<T> {
  const { timeout = answerTimeoutMs } = flags;
  const opening = connect({
    ...(await brokerOf(flags)),
    realm: flags.realm,
    storage: flags.storage,
    client: `zooid-${systemRandom.id()}`,
    cache: "transient",
    log: logOf(flags),
    // A person waits: by default a missing broker or server is an error at once.
    connectTimeoutMs: flags.timeout ?? 0,
    waitTimeoutMs: timeout,
    requestTimeoutMs: Math.max(1, timeout),
  });
  await abortable(opening, signal);
  await using store = await opening;
  signal.throwIfAborted();
  return await use(store);
}
