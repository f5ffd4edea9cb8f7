/** The bounds of records of actors. They are a part of `limits`. */
export const recordLimits = {
  /** Interval at which a recorded instance sends what has happened: a person sees it at once. */
  recordFrameMs: 50,
  /** Bytes of one frame of a record: broker and watchers take it in one piece, beside other messages. */
  recordFrameBytesMax: 32 * 1024,
  /** Items that wait for the next frame; with more, the frame is sent at once. */
  recordFrameItemsMax: 512,
  /** Items of one frame that a watcher accepts: more than fit into its bytes. */
  recordItemsReadMax: 64 * 1024,
  /** Events, steps and notes that an instance records in a second; it counts the others, and still sends new states. */
  recordEventsPerSecondMax: 2_000,
  /** Events of one actor that wait until it handles them: of more, the oldest are counted as left out. */
  recordEventsWaitingMax: 10_000,
  /** Part of one core, in percent, that recording takes in a second before the instance pauses it. */
  recordCpuPercentMax: 5,
  /** Length of such a pause. */
  recordPauseMs: 10_000,
  /** Shortest time between two snapshots of all actors of an instance; requests meanwhile share the next one. */
  recordSnapshotGapMs: 1_000,
  /** Interval at which a recorded instance reads what its actors describe. It sends a frame at least this often. */
  recordFactsMs: 1_000,
  /** Actors whose descriptions are read at each interval, in turn. */
  recordFactsActorsMax: 500,
  /** Watchers whose leases an instance keeps apart; more watchers share one lease. */
  recordWatchersMax: 64,
  /** A watcher counts an instance as lost after this much silence: some intervals of its frames. */
  recordLostMs: 5_000,
  /** Instances that one watcher follows. */
  recordInstancesMax: 1_000,
  /** Characters of a name in a record, such as an event type: longer ones are cut. */
  recordNameLengthMax: 200,
  /** Actors and machines of one instance that a model holds. */
  recordActorsMax: 50_000,
  recordMachinesMax: 1_000,
  /** Bytes of a recording in a file: hours of a usual system, and small enough to send to a colleague. */
  recordingBytesMax: 1024 * 1024 * 1024,
  /** Latest transitions that a model holds. */
  recordTransitionsMax: 1_000,
  /** Commits, and invalidations, that a model follows at most: the latest ones. */
  recordTrailsMax: 10_000,
  /** Clients and nodes that a model lists for one commit or invalidation. */
  recordTrailPlacesMax: 1_000,

  /** Applications whose `@statelyai/inspect` one process accepts at the same time: a developer runs a few. */
  statelyConnectionsMax: 16,
  /** Bytes of one message of `@statelyai/inspect`: it holds the whole context of an actor. */
  statelyMessageBytesMax: 8 * 1024 * 1024,
  /** Bytes of messages of one application that are read in a second: reading them takes about a third of a core. */
  statelyBytesPerSecondMax: 32 * 1024 * 1024,
  /** Actors of one application that are followed. */
  statelyActorsMax: 10_000,
  /** Events of one application that wait until their actors have handled them: of more, the senders are not shown. */
  statelyEventsWaitingMax: 10_000,
  /** Root actors of one application that have ended and are still shown: no message says that they are not needed. */
  statelyEndedMax: 100,
  /** Characters of the definition of one machine, and of all machines of an application: others have no states. */
  statelyDefinitionLengthMax: 128 * 1024,
  statelyDefinitionsLengthMax: 4 * 1024 * 1024,
  /** Names in one level of a state value. */
  statelyStateNamesMax: 200,
} as const;
