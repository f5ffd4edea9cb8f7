import { limits } from "../../../core/index.js";
import type { SimulatedClient } from "../objects/simulated-client.js";
import type { SimulatedServer } from "../objects/simulated-server.js";
import type { World } from "../objects/world.js";
import { timings } from "../objects/world.js";

/** Maximal duration, once faults have stopped, of an action that nothing hinders. */
const unhinderedMsMax = 500;

/**
 * Maximal time until server and clients are level once faults have stopped, without the probation of a server whose
 * writes failed.
 */
const calmMs = 15_000;

/**
 * Resolves to whether server and clients become level in time. A server may begin its probation after the last fault,
 * if the failed write was in doubt then. Its disk does not fail again, so this is the only probation, and its duration
 * is bounded.
 */
export async function becomesLevel(world: World, server: SimulatedServer, clients: readonly SimulatedClient[]): Promise<boolean> {
  const calmAtMs = world.clock.monotonic();
  const isAllLevel = () => isLevel(world, server, clients, world.clock.monotonic() - calmAtMs);
  const isLevelOrOnProbation = await world.holdsWithin(() => server.isOnProbation || isAllLevel(), calmMs);
  if (!server.isOnProbation) return isLevelOrOnProbation;
  return (await world.holdsWithin(() => !server.isOnProbation, limits.writeProbationMs)) && (await world.holdsWithin(isAllLevel, calmMs));
}

/**
 * Whether every client runs, is connected to the running server (for writing unless it is read-only), and is not behind
 * it. Each has heard the server within `heardMsMax`: a client that a fault cut off from messages drops its link later,
 * when the silence is too long. Neither a client nor the server has a voted transaction: if one hung, or its abort was
 * lost, during the faults, the session ends later, with all that the client votes meanwhile.
 */
function isLevel(world: World, server: SimulatedServer, clients: readonly SimulatedClient[], heardMsMax: number): boolean {
  if (!server.isServing || server.holdsVotes) return false;
  const { digest } = world.checker.history.head;
  return clients.every(({ client, clock, workload, isReadOnly }) => {
    if (clock?.isHeldUp === true) return false;
    if (client === undefined || workload === undefined || workload.hasVoted || client.position.digest !== digest) return false;
    const { state, instance, heardMsAgo = Infinity } = client.status();
    return state === (isReadOnly ? "readOnly" : "readWrite") && instance === server.instance && heardMsAgo <= heardMsMax;
  });
}

/**
 * Checks promise 9, and that clients can commit. One client votes and hangs. A commit that touches other objects
 * succeeds at once; commits that touch the same objects succeed after the transaction's time-out at the latest. Then
 * the first client can no longer finish.
 */
export async function checkHungTransaction(world: World, setups: readonly SimulatedClient[]): Promise<void> {
  const { checker } = world;
  const writers = setups.filter(({ isReadOnly }) => !isReadOnly).map(({ workload }) => workload);
  const [first, second, third = second] = writers;
  if (first === undefined || second === undefined || third === undefined) {
    checker.violated(5, "once faults stop, every client is open", {});
    return;
  }
  const within = async (what: string, ms: number, done: Promise<unknown>): Promise<void> => {
    let isDone = false;
    const mark = done.then(
      () => (isDone = true),
      (error: unknown) => checker.violated(9, `${what} succeeds`, { error: String(error) }),
    );
    await world.holdsWithin(() => isDone, ms);
    if (!isDone) checker.violated(9, `${what} takes no longer than ${ms} ms`, {});
    else await mark;
  };
  let finishLate: (() => Promise<void>) | undefined;
  const hang = first.hang("hung/read", "hung/write").then((finish) => (finishLate = finish));
  await within("a vote", unhinderedMsMax, hang);
  if (world.isViolated) return;
  await within("a commit that touches nothing held", unhinderedMsMax, second.put("free/1"));
  const hindered = Promise.all([second.put("hung/write"), third.put("hung/read")]);
  await within("a commit that touches an object held by a hung transaction", timings.transactionTimeoutMs + unhinderedMsMax, hindered);
  // Its process may have been killed meanwhile, because of an error from before.
  const isThere = setups.some(({ workload }) => workload === first);
  if (isThere && finishLate !== undefined)
    await within("the answer to a late finish", timings.requestTimeoutMs + unhinderedMsMax, finishLate());
}
