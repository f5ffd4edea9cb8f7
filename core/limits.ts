/**
 * Every bound of Zooid, with its unit (the last words of the name) and reason.
 * A bound that can be configured has its default here.
 */
export const limits = {
  /** A key in UTF-8: below LMDB's 1,978 bytes with room for prefix and tid, short enough to send by the hundred. */
  keyBytesMax: 512,
  /** A request or reply, whole, after joining its parts. Larger values belong into blob storage. */
  messageBytesMax: 16 * 1024 * 1024,
  /** An encoded value: with its key, and the key that a page of a listing ends at, it fits into one answer. */
  valueBytesMax: 16 * 1024 * 1024 - 2 * 1024,
  /** Arrays and maps in one message, and their nesting: each takes some 50 bytes of memory, however few of the message. */
  messageContainersMax: 250_000,
  messageDepthMax: 16,
  /** Nesting of a value: deeper ones overflow the stack of the decoder. */
  valueDepthMax: 100,
  /** Keys written and read by one transaction, together: validation of one commit must not hold up the others. */
  transactionKeysMax: 100_000,
  /** Ranges listed by one transaction: each is checked against every recent transaction. */
  transactionRangesMax: 1_000,
  /** Length of names of realm, storage, client and transaction ids: they become subjects and keys. */
  nameBytesMax: 64,
  /** Parts of messages being joined at one receiver, all senders together. */
  joiningBytesMax: 64 * 1024 * 1024,
  /** A message whose parts do not all arrive within this is dropped: longer than a request waits, as its sender is gone by then. */
  joiningTimeoutMs: 30_000,
  /** Payload of one publish without a broker that says otherwise: the default of a NATS server. */
  payloadBytesMax: 1024 * 1024,
  /** One attempt to reach one address, to the end of the handshake. */
  dialTimeoutMs: 5_000,
  /** A client or cache that opens waits this long to see whether its broker refuses it. */
  firstDialWaitMs: 1_000,
  /** A problem that keeps a client or a cache from working is logged this long after its start, and then at this interval. */
  waitingNoticeAfterMs: 1_000,
  waitingNoticeIntervalMs: 30_000,
  /** First and longest pause between attempts to reach a broker; doubled each time, with jitter. */
  dialDelayMsMin: 20,
  dialDelayMsMax: 2_000,
  /** Pings of the broker, and how many may be unanswered: a dead link is noticed within three intervals. */
  pingIntervalMs: 2_000,
  pingsUnansweredMax: 2,
  /** Bytes that wait for one slow reader before it is cut off: as much as a NATS server allows. */
  bufferedBytesMax: 64 * 1024 * 1024,
  /** Subscriptions, requests under way, and requests still to be answered, each, of one process behind a WebSocket. */
  socketSubscriptionsMax: 10_000,
  socketRequestsMax: 10_000,

  /** Transactions in the server's invalidation queue (ZEO's default). */
  invalidationQueueSize: 100,
  /** Keys in the invalidation queue, all transactions together. */
  invalidationQueueKeysMax: 100_000,
  /** Clients younger than this verify from the log, older ones discard their cache. */
  invalidationAgeMs: 24 * 3_600_000,
  /** Keys named in one invalidation; above it clients read them from the log in parts. */
  invalidationKeysMax: 10_000,
  /** Transactions in one page of the log, and its bytes: a page is read and written within some milliseconds. */
  logPageTransactionsMax: 1_000,
  logPageBytesMax: 512 * 1024,
  /** Pages of the log that a server keeps as they were sent: clients that return at the same time read the same ones. */
  logPagesBytesMax: 16 * 1024 * 1024,
  /** Bytes of pages of the log, and of listed actors, that the broker has still to take: answers to commits wait no longer than for these. */
  pacedBytesInAirMax: 512 * 1024,
  /** Pages that one session asks for at a time; more are answered with ServerBusyError. */
  pagesAskedMax: 8,
  /** Transactions a server replays to one client at most; more is slower than discarding. */
  replayTransactionsMax: 100_000,
  /** Invalidations a client keeps that do not follow its last tid yet. */
  earlyInvalidationsMax: 1_000,

  /** Longest delay that a timer of the system takes: it fires at once when it is given more. Longer delays are made of several. */
  timerMsMax: 2 ** 31 - 1,
  /** A server sends its last tid this often; a lost last message is noticed within it. */
  heartbeatIntervalMs: 1_000,
  /** Silence of the server after which its client takes the link for lost: three heartbeats and a half; never below 2.5 heartbeats of that server. */
  heartbeatTimeoutMs: 3_500,
  /** A client's timer that fires later than this shows that its process was held up: it waits as long for what has arrived to be read. */
  heldUpMs: 250,
  /** A client sends a sign of life this often, with its oldest open snapshot. */
  keepAliveIntervalMs: 5_000,
  /** Silence of a client after which the server ends its session. */
  sessionTimeoutMs: 20_000,
  /** Sessions, and open transactions, that the status of a storage names. */
  statusListMax: 1_000,
  /** Registered clients of one storage. */
  sessionsMax: 10_000,
  /** Sessions of one client name: processes may share a name, and a client that lost its link begins another session. */
  sessionsPerClientMax: 1_000,
  /** A session that nothing was asked in since it was opened may make room for another after this: a client verifies its cache at once. */
  sessionUnusedMs: 2_000,
  /** Fences (ids that can never commit) that one session writes within outcomeAgeMs: as many as its commits that can be under way at once. */
  fencesPerSessionMax: 10_000,

  /** A voted transaction is finished within this or aborted (counted from the vote). */
  transactionTimeoutMs: 30_000,
  /** Voted or waiting transactions of one storage. */
  transactionsOpenMax: 10_000,
  /** Commits waiting for the next batch; more are answered with ServerBusyError. */
  commitQueueMax: 10_000,
  /** Copies of a request in the air that wait for its answer, and as many for its outcome: more than transports make. The rest are dropped. */
  copiesAnsweredMax: 32,
  /** Bytes of requests that wait, are being written, or were voted: what clients can make a server keep in memory. */
  commitsInAirBytesMax: 256 * 1024 * 1024,
  /** Bytes written by one batch; the rest waits for the next. */
  batchBytesMax: 32 * 1024 * 1024,
  /** Outcomes and fences are known by transaction id for at least this age, counted in tids. */
  outcomeAgeMs: 10 * 60_000,
  /** Outcomes and fences kept in memory, about 100 bytes each; past it the id floor rises sooner. */
  outcomesMax: 1_000_000,
  /** Ids refused for a passing reason that a server remembers: far more than copies of a message are late. */
  refusedIdsMax: 100_000,
  /** A server that looks for another writer waits this long for an answer before it asks again: ten times what an answer takes over a slow link. */
  writerCheckTimeoutMs: 1_000,
  /** Pause before it asks again. */
  writerCheckPauseMs: 100,
  /** Writers whose heartbeats were heard and that one server asks at a time. */
  writersAskedMax: 16,
  /** Instances that claim to write and that one client asks at a time. It stays linked, and notices the silence of its own server, too. */
  instancesAskedMax: 4,
  /** A client that registers asks again at a heartbeat so often at most: as soon as a short interruption of the server's link is over. */
  registerAgainMs: 20,
  /** A wall clock that is set by more while a server runs is not taken into tids: history would grow old by as much, at once or not at all. */
  clockJumpMsMax: 3_600_000,
  /** First and longest pause before a store in doubt is opened again; doubled each time. */
  reopenDelayMsMin: 50,
  reopenDelayMsMax: 2_000,
  /** After two failed writes in a row a storage takes no commits for this long: room on the disk is made by people. */
  writeProbationMs: 30_000,

  /** A snapshot younger than this is never pruned. */
  snapshotRetentionMs: 10 * 60_000,
  /** Time one step of pruning may hold up the server. */
  pruningStepMsMax: 5,
  /** Pause between sweeps. */
  pruningIntervalMs: 60_000,

  /** One request, from sending to answer. */
  requestTimeoutMs: 10_000,
  /** A call waits this long for a connection, a commit included, before DisconnectedError. */
  waitTimeoutMs: 30_000,
  /** `close` of a client takes no longer: well below what process managers wait between SIGTERM and SIGKILL. */
  closeTimeoutMs: 5_000,
  /** Attempts of `transact` at a transaction that conflicts. */
  transactAttemptsMax: 20,
  /** First and longest pause between attempts to register or to commit again; doubled each time, with jitter. */
  retryDelayMsMin: 10,
  retryDelayMsMax: 5_000,

  /** Client cache on disk: keys and values, without LMDB's own pages. */
  cacheBytesMax: 20 * 1024 * 1024,
  /** Changes of the cache on disk are gathered this long and written as one batch: a burst costs one write, a kill loses no more. */
  cacheWriteDelayMs: 5,
  /** Entries waiting to be written to the cache on disk; past it new ones stay in memory only. */
  cachePendingBytesMax: 4 * 1024 * 1024,
  /** No store is begun on a disk with less room: its first files, which LMDB maps, and some batches must fit. */
  diskFreeBytesMin: 1024 * 1024,
  /** Cached results use a clock that is read this often: reading the clock of the system costs as much as the rest of a hit. */
  cacheTickMs: 10,
  /** Versions of tags that a cache on disk remembers; past it the oldest go, and entries computed before those are stale. */
  tagVersionsMax: 250_000,
  /** Keys of invalidations that a client remembers for its loads in flight; past it a load that crossed older ones is not cached. */
  rememberedKeysMax: 100_000,
  /** Decoded objects in memory, measured by their encoded size. */
  memoryBytesMax: 20 * 1024 * 1024,
  /** Loads that one client has under way; more wait. */
  loadsInFlightMax: 1_000,
  /** Rows of one page of a listing, and their bytes. */
  listPageRowsMax: 1_000,
  listPageBytesMax: 512 * 1024,
  /** Looks at current revisions for one page or one answer to a load; one at an older revision counts for eight. Some milliseconds. */
  pageLooksMax: 3_000,
  /** Changes a watcher has not taken yet; past it they become one `reset`. */
  watchBufferMax: 10_000,
  /** Keys named in one line of the log: enough to recognise a transaction by. */
  loggedKeysMax: 20,

  /** An event sent to an actor from outside, encoded: commands are small. */
  actorEventBytesMax: 64 * 1024,
  /** The view of an actor, encoded. It is published at each change. */
  actorViewBytesMax: 256 * 1024,
  /** The description of an actor's machine, encoded, for a process that draws it. */
  actorMachineBytesMax: 512 * 1024,
  /** States inside states in such a description. */
  actorMachineDepthMax: 32,
  /** The reason of a failure in the view of an actor, in characters. */
  actorReasonLengthMax: 300,
  /** Depth of an actor's path, in names. */
  actorPathNamesMax: 8,
  /** A watcher of an actor renews its lease this often. */
  actorLeaseRenewalMs: 5_000,
  /** An actor is published this long after the last renewal: two renewals may be lost. */
  actorLeaseMs: 16_000,
  /** Views of one actor published in a second; what changes faster is shown as of the second's end. */
  actorViewsPerSecondMax: 100,
  /** Requests for the list of actors that one process answers together; more at the same time are dropped. */
  actorListQuestionsMax: 16,
  /** Views that one listing of the actors of a realm takes from all answers. */
  actorsListedMax: 50_000,

  /** The invalidation stream keeps the last invalidation of a tag this long; a node that was away for longer discards what it has. */
  busHistoryMs: 7 * 24 * 3_600_000,
  /** Attempt to publish an invalidation, from sending to acknowledgement, before it is sent again. */
  busPublishTimeoutMs: 3_000,
  /** Latest invalidations whose ids a node remembers: where the stream has others, it counted anew. More than a broker loses with its power. */
  toldInvalidationsMax: 1_000,
  /** How far a time that a publisher may have written is believed beyond what the broker's clock should say. */
  doubtfulTimeMsMax: 1_000,
  /** Messages of a node's own that the stream has taken and the node has not come to yet: of older ones it is not asked when they were sent. */
  sentProofsMax: 64,
  /** A node whose proof that nothing is missing is about to lapse sends a heartbeat at most this often. */
  proofGapMsMin: 100,
  /** A warning that any process can cause is logged at most this often, with its count. */
  repeatedWarningMs: 60_000,
  /** Requests for the latest invalidation of a tag that an examination of the stream has under way. */
  tagsExaminedMax: 64,
  /** Publishers that one node of a bus without a stream follows; one more makes it discard at each of its messages. */
  busPublishersMax: 10_000,

  /** A tag, and its levels: each is walked at every check, and a tag becomes a subject. */
  tagLengthMax: 256,
  tagLevelsMax: 16,
  /** A level that `tag` writes for a value; a longer one is a hash. Three of them fit into a tag. */
  tagLevelLengthMax: 64,
  /** Tags that one process keeps versions of, about 150 bytes each with their names; past it a parent stands in for those below it. */
  tagsMax: 2_000_000,
  /** Latest invalidated tags kept that nothing depends on yet: enough that a computation is not disturbed by invalidations beside it. */
  tagsUnusedMax: 1_024,
  /** Text of the arguments of one call, when its key is made: more belongs into a key of the caller's own. */
  cacheKeyLengthMax: 1024 * 1024,
  /** Tags of one result, those of nested ones among them: past it a result is given, but not kept. */
  entryTagsMax: 1_000,
  /** Objects and prefixes that one result read, those of nested ones among them: past it a result is given, but not kept. */
  entryObjectsMax: 10_000,
  /** Objects and prefixes of one storage that results here depend on, about 200 bytes each; past it new results are given, but not kept. */
  objectReadsMax: 1_000_000,
  /** Those of them that only computations under way may depend on: as many as the largest ten results read. */
  objectReadsUnusedMax: 100_000,
  /** Different values of maxStaleMs that results of one client depend on: a timer each. */
  objectAgesMax: 64,
  /** Lengths of prefixes that results depend on: each key of a commit is looked for once for each of them. */
  objectPrefixLengthsMax: 16,
  /** Computations of a cache that other calls may join; past it each call computes by itself. */
  flightsMax: 100_000,
  /** A call waits this long for the computation of another. */
  flightTimeoutMs: 60_000,
  /** `invalidate` waits this long for the bus before it resolves to `queued`: longer than a publication takes when all is well. */
  publishTimeoutMs: 1_000,
  /** `close` of a cache waits this long for a link that says nothing: process managers do not wait long either. */
  cacheCloseTimeoutMs: 1_000,
  /** Invalidations that wait for the bus, a tag each; past it they become one of everything. */
  outboxEntriesMax: 10_000,
  /** Invalidations that the bus has been given and has not acknowledged: what comes later cannot be covered by them. */
  outboxSentMax: 64,
  /** With a bus: results are served this long after the last proof that no invalidation is missing. */
  maxStaleMs: 30_000,
  /** Nodes of a cache that one listing takes from all answers. */
  cacheNodesListedMax: 10_000,
  /** Listings and prunings that one node carries out at a time for other processes: each looks at all there is, in steps. */
  cacheStepsMax: 4,
  /** Tags of one request of another process to invalidate: each is published. */
  tagsToldMax: 1_000,
  /** One request to a bucket that nodes share: a call never waits longer for it than a function would for a slow database. */
  bucketTimeoutMs: 250,
  /** After a time-out the bucket is not asked for this long, so that other calls do not wait as well. */
  bucketRestMs: 1_000,
  /** Attempts at one write to a bucket, when others write the same key. */
  bucketRoundsMax: 3,
  /** Writes to a bucket under way, and their bytes; past either new results stay in memory only. */
  bucketWritesMax: 1_000,
  bucketWritingBytesMax: 16 * 1024 * 1024,
  /** Results of a bucket that a sweep asks for at a time, about 200 bytes each. */
  bucketSweepItemsMax: 1_000,
  /** Requests of a sweep that are under way, to remove what has expired: others ask the bucket too. */
  bucketSweepRemovalsMax: 32,
  /** One round of sweeping a bucket; the next one goes on where it ended. A request to prune waits for it. */
  bucketSweepMsMax: 5_000,
  /** Latest invalidated tags that results from a bucket are compared with, about 100 bytes each; of what is older the bus is asked. */
  latestInvalidationsMax: 10_000,
  /** Tags that the bus is asked about for one result from a bucket, a request each; past it the result is not used. */
  tagsRecalledMax: 256,
  /** A result from a bucket that claims to know more invalidations than this beyond those heard here is none. */
  sequencesAheadMax: 1_000_000,
  /** A node estimates the broker's clock from the messages of this window and of the one before: some dozens of heartbeats. */
  brokerTimeWindowMs: 30_000,
  /** Bytes of results in memory, with keys and tags, by a rough measure: a service has room for that without saying so. */
  resultBytesMax: 64 * 1024 * 1024,
  /** Results in a folder, and their bytes: about 400 bytes of memory each, without their values. */
  folderEntriesMax: 250_000,
  folderBytesMax: 1024 * 1024 * 1024,
  /** Expired results are removed this often, in memory and in a folder: the cost is that of what is found. */
  expiryIntervalMs: 1_000,
  /** An invalidated tag that nothing depends on is remembered this long: longer than most computations, whose results are compared with it. */
  tagsIdleMs: 60_000,
  /** Tags that nothing depends on any more, about 200 bytes each; past it the parent of the one that is idle longest stands in for it. */
  tagsIdleMax: 10_000,
  /** Pause between two rounds of pruning a cache. */
  autoPruneIntervalMs: 3_600_000,
  /** The order of last uses, and deadlines that slid, are written to LMDB this often. */
  lruUpdateIntervalMs: 30_000,
  slideFlushMs: 30_000,
  /** Body of a response that a route keeps; larger ones are sent, and made anew for each request. */
  pageBytesMax: 1024 * 1024,
  /** Pages of one route kept at one node, and their bytes: what clients can ask for has no end, and one route must not push out all others. */
  routePagesMax: 10_000,
  routePagesBytesMax: 32 * 1024 * 1024,
  /** A plain number of seconds in an option, a year: above it milliseconds were meant. */
  durationSecsMax: 31_536_000,
} as const;
