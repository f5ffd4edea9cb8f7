import { drawingLimits } from "./limits/drawing.js";
import { recordLimits } from "./limits/record.js";

/**
 * Every bound of Zooid, with its unit (the last words of the name) and reason.
 * The value here is the default of a bound that can be configured.
 */
export const limits = {
  /** Bytes of a key in UTF-8: below LMDB's 1,978 with room for prefix and tid, short enough to send by the hundred. */
  keyBytesMax: 512,
  /** Bytes of a whole request or reply, after its parts are joined. Larger values belong in blob storage. */
  messageBytesMax: 16 * 1024 * 1024,
  /** Bytes of an encoded value: with its key, and the last key of a page of a listing, it fits into one answer. */
  valueBytesMax: 16 * 1024 * 1024 - 2 * 1024,
  /** Arrays and maps in one message, and their nesting: each takes about 50 bytes of memory, for few in the message. */
  messageContainersMax: 250_000,
  messageDepthMax: 16,
  /** Nesting of a value: deeper values overflow the stack of the decoder. */
  valueDepthMax: 100,
  /** Keys written and read by one transaction, together: validation of one commit must not delay the others. */
  transactionKeysMax: 100_000,
  /** Ranges listed by one transaction: each is checked against every recent transaction. */
  transactionRangesMax: 1_000,
  /** Length of a realm, storage or client name and of a transaction id: they become subjects and keys. */
  nameBytesMax: 64,
  /** Bytes of messages whose parts one receiver is joining, from all senders together. */
  joiningBytesMax: 64 * 1024 * 1024,
  /** A message whose parts do not all arrive within this time is dropped; its request has timed out by then. */
  joiningTimeoutMs: 30_000,
  /** Bytes of one published payload when the broker names no other maximum: the default of a NATS server. */
  payloadBytesMax: 1024 * 1024,
  /** Longest attempt to reach one address, to the end of the handshake. */
  dialTimeoutMs: 5_000,
  /** A client or cache that opens waits this long to learn whether its broker refuses it. */
  firstDialWaitMs: 1_000,
  /** A problem that keeps a client or cache from working is logged this long after its start, then at this interval. */
  waitingNoticeAfterMs: 1_000,
  waitingNoticeIntervalMs: 30_000,
  /** First and longest pause between attempts to reach a broker; doubled each time, with jitter. */
  dialDelayMsMin: 20,
  dialDelayMsMax: 2_000,
  /** Interval between pings of the broker, and unanswered ones: a dead link is noticed within three intervals. */
  pingIntervalMs: 2_000,
  pingsUnansweredMax: 2,
  /** Bytes that may wait for one slow reader before its connection is closed: the same as in a NATS server. */
  bufferedBytesMax: 64 * 1024 * 1024,
  /** Subscriptions, requests in flight, and unanswered requests, each, of one process behind a WebSocket. */
  socketSubscriptionsMax: 10_000,
  socketRequestsMax: 10_000,

  /** Transactions in the server's invalidation queue (ZEO's default). */
  invalidationQueueSize: 100,
  /** Keys in the invalidation queue, all transactions together. */
  invalidationQueueKeysMax: 100_000,
  /** Clients younger than this verify from the log; older clients discard their cache. */
  invalidationAgeMs: 24 * 3_600_000,
  /** Keys named in one invalidation; with more, clients read the keys from the log in parts. */
  invalidationKeysMax: 10_000,
  /** Transactions in one page of the log, and its bytes: a page is read and written within a few milliseconds. */
  logPageTransactionsMax: 1_000,
  logPageBytesMax: 512 * 1024,
  /** Bytes of encoded log pages that a server keeps: clients that return at the same time read the same pages. */
  logPagesBytesMax: 16 * 1024 * 1024,
  /** Bytes of log pages and actor lists that the broker has still to take: answers to commits wait for no more. */
  pacedBytesInAirMax: 512 * 1024,
  /** Pages that one session requests at a time; further requests are answered with ServerBusyError. */
  pagesAskedMax: 8,
  /** Most transactions that a server replays to one client; replaying more is slower than discarding the cache. */
  replayTransactionsMax: 100_000,
  /** Invalidations that a client keeps although they do not follow its last tid yet. */
  earlyInvalidationsMax: 1_000,

  /** Longest delay of a timer of the system, which fires a longer one at once. Longer delays use several timers. */
  timerMsMax: 2 ** 31 - 1,
  /** Interval at which a server sends its last tid; a client notices within it that the last message was lost. */
  heartbeatIntervalMs: 1_000,
  /**
   * A client takes the link for lost after this much silence of the server: three and a half heartbeats; never below
   * 2.5 heartbeats of that server.
   */
  heartbeatTimeoutMs: 3_500,
  /**
   * When a timer of a client fires later than this, its process was blocked: the client then waits as long again, so
   * that messages that have arrived are read first.
   */
  heldUpMs: 250,
  /** Interval at which a client reports that it is alive, together with its oldest open snapshot. */
  keepAliveIntervalMs: 5_000,
  /** The server ends a session after this much silence of its client. */
  sessionTimeoutMs: 20_000,
  /** Sessions, and open transactions, that the status of a storage lists. */
  statusListMax: 1_000,
  /** Registered clients of one storage. */
  sessionsMax: 10_000,
  /** Sessions with one client name: processes may share a name, and a client that lost its link begins another. */
  sessionsPerClientMax: 1_000,
  /** A session without requests may make room for another after this: a client verifies its cache at once. */
  sessionUnusedMs: 2_000,
  /** Fences (ids that can never commit) of one session within outcomeAgeMs: as many as its commits in flight. */
  fencesPerSessionMax: 10_000,

  /** A voted transaction that is not finished within this time, counted from the vote, is aborted. */
  transactionTimeoutMs: 30_000,
  /** Voted or waiting transactions of one storage. */
  transactionsOpenMax: 10_000,
  /** Commits that wait for the next batch; further commits are answered with ServerBusyError. */
  commitQueueMax: 10_000,
  /**
   * Copies of a request in flight that wait for its answer, and the same number for its outcome: more than transports
   * make. Further copies are dropped.
   */
  copiesAnsweredMax: 32,
  /** Bytes of requests that wait, are being written, or are voted: the memory that clients can make a server use. */
  commitsInAirBytesMax: 256 * 1024 * 1024,
  /** Bytes that one batch writes; further commits wait for the next batch. */
  batchBytesMax: 32 * 1024 * 1024,
  /** Outcomes and fences are known by transaction id for at least this age, counted in tids. */
  outcomeAgeMs: 10 * 60_000,
  /** Outcomes and fences in memory, about 100 bytes each; with more, the id floor rises sooner. */
  outcomesMax: 1_000_000,
  /** Ids refused for a temporary reason that a server remembers: many more than there are late copies of messages. */
  refusedIdsMax: 100_000,
  /** A server that looks for another writer waits this long before it asks again: ten times a slow answer. */
  writerCheckTimeoutMs: 1_000,
  /** Pause before it asks again. */
  writerCheckPauseMs: 100,
  /** Writers whose heartbeats were received that one server asks at a time. */
  writersAskedMax: 16,
  /**
   * Instances that claim to write that one client asks at a time. Meanwhile the client stays linked and still notices
   * the silence of its own server.
   */
  instancesAskedMax: 4,
  /**
   * Shortest interval at which a registering client asks again when a heartbeat arrives: it registers as soon as a
   * short interruption of the server's link is over.
   */
  registerAgainMs: 20,
  /**
   * When the wall clock of a running server is set by more than this, tids do not follow it: otherwise history would
   * age by as much at once, or not age at all.
   */
  clockJumpMsMax: 3_600_000,
  /** First and longest pause before a store in doubt is opened again; doubled each time. */
  reopenDelayMsMin: 50,
  reopenDelayMsMax: 2_000,
  /** After two failed writes in a row a storage takes no commits for this long: an operator must free disk space. */
  writeProbationMs: 30_000,

  /** A snapshot younger than this is never pruned. */
  snapshotRetentionMs: 10 * 60_000,
  /** Longest time that one step of pruning blocks the server. */
  pruningStepMsMax: 5,
  /** Pause between sweeps. */
  pruningIntervalMs: 60_000,

  /** Longest time of one request, from sending it to its answer. */
  requestTimeoutMs: 10_000,
  /** A call, a commit included, waits this long for a connection and then fails with DisconnectedError. */
  waitTimeoutMs: 30_000,
  /** Longest time that `close` of a client takes: well below what process managers wait before SIGKILL. */
  closeTimeoutMs: 5_000,
  /** Attempts of `transact` when the transaction conflicts. */
  transactAttemptsMax: 20,
  /** First and longest pause between attempts to register or to commit again; doubled each time, with jitter. */
  retryDelayMsMin: 10,
  retryDelayMsMax: 5_000,

  /** Bytes of keys and values in the client cache on disk, without LMDB's own pages. */
  cacheBytesMax: 20 * 1024 * 1024,
  /**
   * Changes of the cache on disk are collected for this long and written as one batch: a burst costs one write, and a
   * kill loses no more than this.
   */
  cacheWriteDelayMs: 5,
  /** Bytes of entries that wait to be written to the cache on disk; further entries stay in memory only. */
  cachePendingBytesMax: 4 * 1024 * 1024,
  /**
   * No store is created on a disk with less free space: its first files, mapped by LMDB, and some batches must fit.
   * A write must leave half of it free.
   */
  diskFreeBytesMin: 1024 * 1024,
  /**
   * Cached results use a clock that is read at this interval: the system's clock costs as much as the rest of a hit.
   */
  cacheTickMs: 10,
  /** Versions of tags that a cache on disk remembers; with more, entries older than a dropped version are stale. */
  tagVersionsMax: 250_000,
  /** Keys of invalidations that a client remembers for its loads; loads that overlapped older ones are not cached. */
  rememberedKeysMax: 100_000,
  /** Bytes of decoded objects in memory, measured by their encoded size. */
  memoryBytesMax: 20 * 1024 * 1024,
  /** Loads that one client has in flight; further loads wait. */
  loadsInFlightMax: 1_000,
  /** Rows of one page of a listing, and their bytes. */
  listPageRowsMax: 1_000,
  listPageBytesMax: 512 * 1024,
  /**
   * Look-ups of current revisions for one page or one answer to a load; a look-up at an older revision counts for
   * eight. This takes a few milliseconds.
   */
  pageLooksMax: 3_000,
  /** Changes that a watcher has not taken yet; with more, they become one `reset`. */
  watchBufferMax: 10_000,
  /** Keys named in one log message: enough to recognise a transaction. */
  loggedKeysMax: 20,

  /** Bytes of an event that is sent to an actor from outside, encoded: commands are small. */
  actorEventBytesMax: 64 * 1024,
  /** Bytes of the view of an actor, encoded. It is published at each change. */
  actorViewBytesMax: 256 * 1024,
  /** Bytes of the description of an actor's machine, encoded, for a process that draws it. */
  actorMachineBytesMax: 512 * 1024,
  /** Nesting of states in such a description. */
  actorMachineDepthMax: 32,
  /** Characters of the reason of a failure in the view of an actor. */
  actorReasonLengthMax: 300,
  /** Tags in the view of an actor. */
  actorTagsMax: 1_000,
  /** First and longest pause before a failed actor is started again; doubled with each failure in the window. */
  actorRestartDelayMsMin: 100,
  actorRestartDelayMsMax: 10_000,
  /** So many failures of a supervised actor within the window are followed by a restart; one more is the last one. */
  actorFailuresMax: 5,
  actorFailuresWithinMs: 60_000,
  /** Depth of an actor's path, in names. */
  actorPathNamesMax: 8,
  /** Interval at which a watcher of an actor renews its lease. */
  actorLeaseRenewalMs: 5_000,
  /** An actor is published this long after the last renewal: two renewals may be lost. */
  actorLeaseMs: 16_000,
  /** Views of one actor published per second; faster changes are shown as of the end of the second. */
  actorViewsPerSecondMax: 100,
  /**
   * Requests of one actor system whose answers it remembers, for a repeat whose first answer was lost, and the bytes of
   * these answers. A repeat comes within seconds.
   */
  actorRequestsRememberedMax: 10_000,
  actorAnswersBytesMax: 8 * 1024 * 1024,
  /** Requests that wait in one actor system until an actor reaches a state, or until it has been started again. */
  actorRequestsWaitingMax: 10_000,
  /** A request that waits for a state is renewed at this interval, so that a host forgets one that was given up. */
  actorRequestRenewalMs: 30_000,
  /** References to actors that one system keeps; an older one forgets whether its actor has answered. */
  actorReferencesMax: 10_000,
  /** Requests that wait at one actor, named in one heartbeat. */
  actorRequestsNamedMax: 1_000,
  /** Requests for the list of actors that one process answers at the same time; further requests are dropped. */
  actorListQuestionsMax: 16,
  /** Views that one listing of the actors of a realm takes from all answers. */
  actorsListedMax: 50_000,

  ...recordLimits,
  ...drawingLimits,

  /** The stream keeps the last invalidation of a tag this long; a node away for longer discards its entries. */
  busHistoryMs: 7 * 24 * 3_600_000,
  /** Longest attempt to publish an invalidation, from sending to acknowledgement, before it is sent again. */
  busPublishTimeoutMs: 3_000,
  /**
   * Latest invalidations whose ids a node remembers: when the stream has other ids at their sequences, it has lost
   * messages and counted anew. More than a broker loses in a power failure.
   */
  knownInvalidationsMax: 1_000,
  /** A time that a publisher may have written is accepted at most this far beyond the estimated time of the broker. */
  doubtfulTimeMsMax: 1_000,
  /**
   * Own messages of a node that the stream has acknowledged and the node has not received yet. The send times of older
   * ones are forgotten.
   */
  sentProofsMax: 64,
  /** Shortest interval between two heartbeats of a node whose proof that nothing is missing is about to lapse. */
  proofGapMsMin: 100,
  /** A warning that any process can cause is logged at most once in this time, with its count. */
  repeatedWarningMs: 60_000,
  /** Requests for the latest invalidation of a tag that an examination of the stream has in flight. */
  tagsExaminedMax: 64,
  /** Publishers that one node of a bus without a stream follows; a message of one more makes it discard its entries. */
  busPublishersMax: 10_000,

  /** Characters of a tag, and its levels: each check walks all levels, and a tag becomes a subject. */
  tagLengthMax: 256,
  tagLevelsMax: 16,
  /** Characters of a level that `tag` writes for a value; a longer one becomes a hash. Three of them fit into a tag. */
  tagLevelLengthMax: 64,
  /**
   * Tags whose versions one process keeps, about 150 bytes each with their names; with more, a parent stands in for the
   * tags below it.
   */
  tagsMax: 2_000_000,
  /**
   * Latest invalidated tags that are kept although nothing depends on them yet: enough that unrelated invalidations do
   * not disturb a computation.
   */
  tagsUnusedMax: 1_024,
  /** Characters of the arguments of one call, when its key is made: a caller with more passes a key of its own. */
  cacheKeyLengthMax: 1024 * 1024,
  /** Tags of one result, including those of nested results; a result with more is returned, but not kept. */
  entryTagsMax: 1_000,
  /** Objects and prefixes that one result read, with those of nested ones; with more it is returned, but not kept. */
  entryObjectsMax: 10_000,
  /**
   * Objects and prefixes of one storage that results here depend on, about 200 bytes each; with more, new results are
   * returned, but not kept.
   */
  objectReadsMax: 1_000_000,
  /**
   * Part of objectReadsMax for reads that only running computations may depend on: as many as the largest ten results
   * read.
   */
  objectReadsUnusedMax: 100_000,
  /** Different values of maxStaleMs that results of one client depend on: each needs a timer. */
  objectAgesMax: 64,
  /** Different lengths of prefixes that results depend on: each key of a commit is looked up once for each length. */
  objectPrefixLengthsMax: 16,
  /** Computations of a cache that other calls may join; with more, each call computes by itself. */
  flightsMax: 100_000,
  /** A call waits this long for the computation of another call. */
  flightTimeoutMs: 60_000,
  /** `invalidate` waits this long for the bus before it resolves to `queued`: longer than a publication takes. */
  publishTimeoutMs: 1_000,
  /** `close` of a cache waits this long for a silent link: process managers do not wait long either. */
  cacheCloseTimeoutMs: 1_000,
  /** Invalidations that wait for the bus, one for each tag; with more, they become one invalidation of everything. */
  outboxEntriesMax: 10_000,
  /** Invalidations that are sent to the bus and not acknowledged: they cannot cover later invalidations. */
  outboxSentMax: 64,
  /** With a bus: results are served this long after the last proof that no invalidation is missing. */
  maxStaleMs: 30_000,
  /** Nodes of a cache that one listing takes from all answers. */
  cacheNodesListedMax: 10_000,
  /** Listings and prunings that one node carries out at a time for others: each visits all entries, in steps. */
  cacheStepsMax: 4,
  /** Tags in one invalidation request from another process: the node publishes each tag. */
  tagsInvalidatedMax: 1_000,
  /** Longest request to a bucket that nodes share: no longer than a function would wait for a slow database. */
  bucketTimeoutMs: 250,
  /** After a time-out the bucket is not used for this long, so that other calls do not wait as well. */
  bucketRestMs: 1_000,
  /** Attempts at one write to a bucket when other nodes write the same key. */
  bucketRoundsMax: 3,
  /** Writes to a bucket in flight, and their bytes; beyond either bound new results stay in memory only. */
  bucketWritesMax: 1_000,
  bucketWritingBytesMax: 16 * 1024 * 1024,
  /** Results that a sweep of a bucket requests at a time, about 200 bytes each. */
  bucketSweepItemsMax: 1_000,
  /** Requests to remove expired results that a sweep has in flight: other work uses the bucket too. */
  bucketSweepRemovalsMax: 32,
  /** Longest round of sweeping a bucket; the next one continues where it ended. A request to prune waits for it. */
  bucketSweepMsMax: 5_000,
  /** Latest invalidated tags that results from a bucket are compared with, 100 bytes each; the bus knows older ones. */
  latestInvalidationsMax: 10_000,
  /** Tags that the bus is asked about for one result from a bucket, by a request each; with more it is not used. */
  tagsRecalledMax: 256,
  /** A result from a bucket that claims to know more invalidations than this beyond those received is not used. */
  sequencesAheadMax: 1_000_000,
  /** A node estimates the broker's clock from messages of this window and the one before: some dozen heartbeats. */
  brokerTimeWindowMs: 30_000,
  /** Bytes of results in memory, with keys and tags, by a rough measure: a service normally has this much to spare. */
  resultBytesMax: 64 * 1024 * 1024,
  /** Results in a folder, and their bytes: each takes about 400 bytes of memory, without its value. */
  folderEntriesMax: 250_000,
  folderBytesMax: 1024 * 1024 * 1024,
  /** Interval at which expired results are removed, in memory and in a folder: the cost is that of those removed. */
  expiryIntervalMs: 1_000,
  /**
   * An invalidated tag that nothing depends on is remembered this long: longer than most computations, whose results
   * are compared with it.
   */
  tagsIdleMs: 60_000,
  /** Tags that nothing depends on any more, about 200 bytes each; with more, a parent replaces the longest idle one. */
  tagsIdleMax: 10_000,
  /** Pause between two rounds of pruning a cache. */
  autoPruneIntervalMs: 3_600_000,
  /** Interval at which the order of last uses, and extended deadlines, are written to LMDB. */
  lruUpdateIntervalMs: 30_000,
  slideFlushMs: 30_000,
  /** Bytes of a response body that a route keeps; larger ones are sent, and made again for each request. */
  pageBytesMax: 1024 * 1024,
  /**
   * Pages of one route kept at one node, and their bytes: clients can request pages without end, and one route must not
   * push out the pages of all others.
   */
  routePagesMax: 10_000,
  routePagesBytesMax: 32 * 1024 * 1024,
  /** Largest plain number of seconds in an option, a year: a larger number was meant as milliseconds. */
  durationSecsMax: 31_536_000,
} as const;
