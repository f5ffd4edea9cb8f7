import type { Simulated } from "./simulations.js";

/** Seeds that failed once, and the fault that they found. */
export interface FailedSeeds {
  readonly what: Simulated;
  readonly seeds: readonly number[];
  /** The fault, in one sentence. */
  readonly cause: string;
  /** The hand-written test that shows the same fault. */
  readonly test: string;
}

/**
 * Every seed that ever failed. `npm test` runs them all; a new one is added with its cause.
 *
 * A seed decides a run only together with the code that made the run. When the simulation draws other numbers, or the
 * product acts in another order, the same seed is another run and may no longer meet the fault. So each cause has a
 * hand-written test too, and that test keeps the fault out.
 */
export const failedSeeds: readonly FailedSeeds[] = [
  {
    what: "record",
    seeds: [20, 35, 50],
    cause:
      "an event that waited in a mailbox was named as the cause of the transition before it, and the last transition of an ended child was lost",
    test: "test/actors/record/queued-events.test.ts",
  },
  {
    what: "record",
    seeds: [110, 130, 190, 370, 390],
    cause: "the last transition of an actor whose action ended its registration was lost",
    test: "test/actors/record/record.test.ts",
  },
  {
    what: "cache",
    seeds: [950013619],
    cause:
      "a node whose route was broken missed that the stream lost its end, and as many new messages: the next heartbeat seemed to follow",
    test: "test/actors/cache/bus/lost-end-beats.test.ts",
  },
  {
    what: "cache",
    seeds: [951018622],
    cause: "the checker took the set of a key for older than another node's deletion that came before it in the stream",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [950013223],
    cause: "the checker took the opening of a node for the moment of an invalidation that an earlier process had left on its disk",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "watchers",
    seeds: [960005425],
    cause: "a read that was to hold a transaction began again before it, when the server's history was replaced meanwhile",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "writers",
    seeds: [870002088, 880033087],
    cause: "the simulated link of a killed process was mended, and its process counted as serving with a link",
    test: "test/testing/faulty-network.test.ts",
  },
  {
    what: "writers",
    seeds: [900002902, 900046264, 900092964],
    cause: "a server that was stalled when all faults ended counted as found before it had heard of the server that served meanwhile",
    test: "test/simulation/objects/simulation.test.ts",
  },
  {
    what: "store",
    seeds: [930051800],
    cause: "the check at the end did not wait until the server held no vote: an abort was lost before, and its time-out ended the session",
    test: "test/simulation/common/liveness.test.ts",
  },
  {
    what: "store",
    seeds: [930024519],
    cause:
      "the check at the end did not wait until each client had heard the server again: a client dropped its link after a silence that began with the last fault",
    test: "test/simulation/common/liveness.test.ts",
  },
  {
    what: "store",
    seeds: [810002596],
    cause: "a fault in progress when all faults ended made the server's disk slow afterwards, which the checker did not expect",
    test: "test/simulation/objects/faults.test.ts",
  },
  {
    what: "store",
    seeds: [750003280],
    cause: "the check at the end did not wait for a probation that began after the last fault, when a write in doubt had been read back",
    test: "test/simulation/common/liveness.test.ts",
  },
  {
    what: "store",
    seeds: [700070],
    cause: "the simulation waited for an answer to a process that it had killed",
    test: "test/simulation/objects/simulation.test.ts",
  },
  {
    what: "store",
    seeds: [693023184],
    cause: "a client that only reads waited for a restored server whose clock was a year behind the client's position",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "store",
    seeds: [693018507],
    cause:
      "the check at the end voted in a client whose session ended, because one of its transactions had hung since before the end of the faults",
    test: "test/actors/server/voted-transactions.test.ts",
  },
  {
    what: "coherence",
    seeds: [693017036],
    cause: "as in store 693018507: the check did not wait for the end of a session that a hung transaction had doomed",
    test: "test/actors/server/voted-transactions.test.ts",
  },
  {
    what: "store",
    seeds: [693022520],
    cause: "the checker did not know that ages stand still after a small jump back while a later, greater jump ahead is not followed",
    test: "test/actors/server/clock-jumps.test.ts",
  },
  {
    what: "coherence",
    seeds: [693017073],
    cause: "as in store 693022520: a jump back of less than an hour was followed, and then a jump ahead of many hours was not",
    test: "test/actors/server/clock-jumps.test.ts",
  },
  {
    what: "watchers",
    seeds: [600866],
    cause: "a transaction read on from a server that had pruned the evidence of its other history",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "watchers",
    seeds: [500080],
    cause: "the checker did not know that ages stand still while the wall clock is set back by less than a jump",
    test: "test/actors/server/clock-jumps.test.ts",
  },
  {
    what: "store",
    seeds: [100263],
    cause: "an absence whose tombstone was pruned counted from tid 0 on, so that an older snapshot read it",
    test: "test/actors/server/pruned-absence.test.ts",
  },
  {
    what: "store",
    seeds: [30373333],
    cause: "a commit of a replaced history was sent when the link came back before the discarded cache was on disk",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "store",
    seeds: [30372403],
    cause: "a read waited for its client's commit of a history that the server no longer has, and its error did not say so",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "cache",
    seeds: [100351],
    cause: "a failure was given to a call that came after an invalidation of the data that the function had read",
    test: "test/actors/cache/calls/late-calls.test.ts",
  },
  {
    what: "cache",
    seeds: [102658],
    cause: "an invalidation that an earlier process left on disk was published under an id that the stream had taken before",
    test: "test/actors/cache/bus/left-outbox-nats.test.ts",
  },
  {
    what: "cache",
    seeds: [101466, 105288],
    cause:
      "the checker noted the moment of an invalidation one event too early, and counted a loss that no node knows of as a fault of the product",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [104648],
    cause: "a simulated disk could not be removed, so that a node opened a disk that it had given up, with stale results",
    test: "test/testing/simulated-disk.test.ts",
  },
  {
    what: "cache",
    seeds: [224, 258],
    cause: "a set while cut off kept nothing and took the existing entry for its own, which was given again once the node followed the bus",
    test: "test/actors/cache/bus/set-while-cut.test.ts",
  },
  {
    what: "cache",
    seeds: [391],
    cause: "after a power failure the stream gave the lost sequences again before a node came back",
    test: "test/actors/cache/bus/lost-end.test.ts",
  },
  {
    what: "store",
    seeds: [275],
    cause: "a commit that waited for a link was sent to another history, which took it for its own",
    test: "test/actors/client/object-client-link.test.ts",
  },
  {
    what: "coherence",
    seeds: [1016, 1020],
    cause: "a computation that began before its client's commit, which could not be applied yet, was given to calls after the commit",
    test: "test/actors/cache/objects/objects-links.test.ts",
  },
  {
    what: "cache",
    seeds: [100219, 100247, 100710, 100933, 101125, 101165, 102961, 103395, 103449, 103905, 104026, 104172, 104611, 105147],
    cause: "results in the bucket were kept for longer than a bus with a short history knows their invalidations",
    test: "test/actors/cache/tiers/short-history-nats.test.ts",
  },
  {
    what: "cache",
    seeds: [105792],
    cause: "after a power failure heartbeats took the lost sequences again, and a node did not notice the loss",
    test: "test/actors/cache/bus/lost-end-beats.test.ts",
  },
  {
    what: "cache",
    seeds: [1186574438],
    cause: "an acknowledgement that showed a lost end of the stream was forgotten when the examination of the stream failed",
    test: "test/actors/cache/bus/lost-end-beats.test.ts",
  },
  {
    what: "cache",
    seeds: [693019357, 693026845],
    cause: "the checker took a failed disk, which no longer keeps anything, for a disk that keeps invalidations over a restart",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [693028452],
    cause: "the checker demanded of a disk an invalidation that the stream had lost before the node's bus reported it",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [693028732],
    cause:
      "the checker demanded a new value of a call that joined a computation after the computation got a stale value, as there was no better one",
    test: "test/simulation/cache/functions.test.ts",
  },
  {
    what: "cache",
    seeds: [693031835],
    cause: "a history whose record was lost went on under the name of the one before, which had been renewed and looked like a later one",
    test: "test/actors/cache/bus/lost-end.test.ts",
  },
  {
    what: "cache",
    seeds: [693030729],
    cause: "a node that had begun after an invalidation did not notice that the stream lost it, once heartbeats had its sequence",
    test: "test/actors/cache/bus/lost-end-beats.test.ts",
  },
  {
    what: "cache",
    seeds: [770012926],
    cause: "the checker took a heartbeat in flight when the stream lost its end for the message that has its sequence since",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [780088533],
    cause:
      "a node followed before it had applied an invalidation that was superseded while a consumer delivered the messages that the node had missed",
    test: "test/actors/cache/bus/passed-over.test.ts",
  },
  {
    what: "cache",
    seeds: [780049145],
    cause: "the checker demanded of a node that catches up an invalidation which a later one of its tag, still to come, has superseded",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [780076943],
    cause: "the checker took a node for level whose last sequence was one that the stream had lost and given again",
    test: "test/simulation/cache/cache-checker.test.ts",
  },
  {
    what: "cache",
    seeds: [940001832, 940003782],
    cause: "a simulated user did not expect that a sweep ends with ClosedError when its cache is closed",
    test: "test/actors/cache/pruning.test.ts",
  },
  {
    what: "cache",
    seeds: [940014361],
    cause: "what the bus had recalled of one history proved results of the next one, whose reset had the same sequence",
    test: "test/actors/cache/tiers/bucket-versions.test.ts",
  },
  {
    what: "plain",
    seeds: [960003101, 960003292, 960014755],
    cause: "a node that was cut off forgot since when a publisher had been silent, and used results for longer than maxStaleSecs",
    test: "test/actors/cache/bus/silent-publisher.test.ts",
  },
  {
    what: "plain",
    seeds: [970000976],
    cause: "a call on a node that was out of touch joined a computation that had begun longer ago than maxStaleSecs",
    test: "test/actors/cache/calls/out-of-touch.test.ts",
  },
];

/** All seeds of `what` that failed, in order. */
export const failedSeedsOf = (what: Simulated): readonly number[] =>
  failedSeeds
    .filter((each) => each.what === what)
    .flatMap(({ seeds }) => seeds)
    .toSorted((one, other) => one - other);
