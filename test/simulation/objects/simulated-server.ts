import type { StorageOptions, StorageServer } from "../../../actors/server/server.js";
import { startStorageServer } from "../../../actors/server/server.js";
import type { View } from "../../../storage/kv/ordered-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import type { Random } from "../../../core/index.js";
import { delay, limits } from "../../../core/index.js";
import { tidToMs } from "../../../core/tid.js";
import type { Moment } from "../common/history.js";
import { oneOf } from "../common/play-faults.js";
import type { World } from "./world.js";
import { pruningIntervalsMs, realm, storage, timings } from "./world.js";

/**
 * How much history a server keeps; undefined: all. With short histories snapshots grow too old; with long ones old
 * outcomes are known.
 */
const historyAges: readonly { readonly historyAgeMs: number | undefined; readonly snapshotRetentionMs: number }[] = [
  { historyAgeMs: 60, snapshotRetentionMs: 50 },
  { historyAgeMs: 250, snapshotRetentionMs: 200 },
  { historyAgeMs: 1_500, snapshotRetentionMs: 1_200 },
  { historyAgeMs: undefined, snapshotRetentionMs: 1_200 },
];

/** Retention is checked only up to this history age: the check of a longer one would take as long as the run. */
const retentionCheckedMsMax = 300;
/** A session that is gone may hold a snapshot for so long, and commits are rare once faults have stopped. */
const retentionSlackMs = 2_000;
/** A shift of the wall clock that the server follows. */
const followedShiftMs = 0.55 * limits.clockJumpMsMax;
/** Time after which new tids are compared with real time. */
const tidLookMs = 500;
/** A batch is durable up to so long after its tids were given. */
const tidSlackMs = 10_000;

interface Backup {
  readonly disk: SimulatedDisk;
  readonly moment: Moment;
}

/** The storage server: a process on a disk. After a failure, an operator starts it again. */
export class SimulatedServer {
  readonly #world: World;
  readonly #random: Random;
  readonly #kept: (typeof historyAges)[number];
  readonly #storageOptions: Omit<StorageOptions, "open">;
  readonly #pruningIntervalMs: number;
  #disk: SimulatedDisk;
  #clock: NodeClock | undefined;
  #end: NetworkEnd | undefined;
  #server: StorageServer | undefined;
  #skewMs = 0;
  /** Counts its processes: callbacks of an earlier one are ignored. */
  #process = 0;
  #backup: Backup | undefined;

  /** The last moment that the running process wrote. */
  #last: { readonly process: number; readonly moment: Moment } | undefined;

  readonly #onDurable = (view: View): void => {
    for (const moment of this.#world.checker.durable(view)) {
      this.#world.note("server", `durable ${moment.tid} ${[...moment.writes.keys()].join(" ")}`);
      this.#checkTime(moment);
    }
  };

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random();
    this.#kept = oneOf(historyAges, this.#random);
    this.#pruningIntervalMs = oneOf(pruningIntervalsMs, this.#random);
    this.#storageOptions = { ...this.#kept, outcomeAgeMs: timings.outcomeAgeMs, invalidationQueueSize: 5 };
    this.#disk = new SimulatedDisk({
      name: "server-disk",
      clock: world.clock,
      random: world.random(),
      onDurable: this.#onDurable,
    });
  }

  get disk(): SimulatedDisk {
    return this.#disk;
  }

  get isUp(): boolean {
    return this.#clock !== undefined;
  }

  /** Whether it runs, takes commits, and has none in the air that may still fail. */
  get isServing(): boolean {
    return this.#groupCommit === "idle";
  }

  /** Whether its writes failed too often: it takes no commits until its probation ends or it is started again. */
  get isOnProbation(): boolean {
    return this.#groupCommit === "readOnly";
  }

  /** Whether it holds a transaction that voted. If its client does not end it in time, the client's session ends. */
  get holdsVotes(): boolean {
    return this.#server !== undefined && this.#server.status(storage).openTransactions.length > 0;
  }

  /** Instance id of the process that serves. */
  get instance(): string | undefined {
    return this.#server?.instance;
  }

  get end(): NetworkEnd | undefined {
    return this.#end;
  }

  start(): void {
    if (this.isUp) return;
    const world = this.#world;
    const process = ++this.#process;
    world.note("server", `start ${process}`);
    const clock = world.clock.node(this.#skewMs);
    this.#clock = clock;
    this.#end = world.network.connect("server", { clock, log: world.log("server") });
    const fail = (error: unknown): void => {
      if (process === this.#process) this.#exited(error);
    };
    startStorageServer({
      realm,
      storages: { [storage]: { open: this.#disk.open, ...this.#storageOptions } },
      transport: this.#end,
      clock,
      random: world.random(),
      log: world.log("server"),
      heartbeatIntervalMs: timings.heartbeatIntervalMs,
      keepAliveIntervalMs: timings.keepAliveIntervalMs,
      sessionTimeoutMs: timings.sessionTimeoutMs,
      transactionTimeoutMs: timings.transactionTimeoutMs,
      pruningIntervalMs: this.#pruningIntervalMs,
      onFatal: fail,
    }).then((server) => {
      if (process !== this.#process) return;
      this.#server = server;
      void this.#checkFences();
    }, fail);
  }

  /** State of the machine that writes commits. Undefined while it does not serve. */
  get #groupCommit(): string | undefined {
    if (this.#server?.storages.includes(storage) !== true) return undefined;
    return this.#server.status(storage).machines["group-commit"];
  }

  /**
   * Checks that the times of tids advance as real time does, for any setting of the wall clock; small shifts are
   * followed.
   */
  #checkTime(moment: Moment): void {
    const before = this.#last?.process === this.#process ? this.#last.moment : undefined;
    this.#last = { process: this.#process, moment };
    if (before === undefined) return;
    const passedMs = moment.atMs - before.atMs;
    const countedMs = tidToMs(moment.tid) - tidToMs(before.tid);
    if (Math.abs(countedMs - passedMs) <= limits.clockJumpMsMax + tidSlackMs) return;
    this.#world.checker.violated(1, "tids go on as real time does", { before: before.tid, tid: moment.tid, passedMs, countedMs });
  }

  /**
   * Checks that history which is too old is removed, for any setting of the wall clock. Call it while commits go on.
   */
  async checkRetention(): Promise<void> {
    const { historyAgeMs, snapshotRetentionMs } = this.#kept;
    if (historyAgeMs === undefined || historyAgeMs > retentionCheckedMsMax) return;
    const { checker, clock } = this.#world;
    const keptMs = historyAgeMs + 2 * snapshotRetentionMs + this.#pruningIntervalMs + retentionSlackMs;
    if (!(await this.#tidsGoOn())) return;
    const { head } = checker.history;
    const isGone = () => (this.#server?.status(storage).historyFloor ?? 0) >= head.tid;
    // The last transaction is the current state: only a transaction with a successor grows old.
    await this.#world.holdsWithin(() => clock.monotonic() > head.atMs + keptMs && isGone(), 2 * keptMs);
    if (this.#world.isViolated || isGone() || checker.history.head === head) return;
    this.#world.checker.violated(12, "history that is too old is removed", {
      tid: head.tid,
      ageMs: clock.monotonic() - head.atMs,
      keptMs,
      floor: this.#server?.status(storage).historyFloor,
      last: checker.history.head.tid,
    });
  }

  /**
   * While a wall clock that was set back by less than a jump has not reached the last tid again, tids stand still, and
   * ages with them. That takes no longer than the length of a jump: here this time passes at once. Resolves to whether
   * tids advance as real time does; false without commits.
   */
  async #tidsGoOn(): Promise<boolean> {
    const { checker } = this.#world;
    for (let passedMs = 0; ; passedMs += followedShiftMs) {
      const before = checker.history.head;
      const isSeen = () => checker.history.head.atMs - before.atMs > tidLookMs;
      if (!(await this.#world.holdsWithin(isSeen, 4 * tidLookMs)) || this.#world.isViolated) return false;
      const { head } = checker.history;
      if (tidToMs(head.tid) - tidToMs(before.tid) > (head.atMs - before.atMs) / 2) return true;
      if (passedMs > limits.clockJumpMsMax) {
        checker.violated(12, "tids stand still no longer than the length of a jump of the wall clock", {
          before: before.tid,
          tid: head.tid,
          passedMs,
        });
        return false;
      }
      this.shiftWall(followedShiftMs);
    }
  }

  /** Checks that each transaction with the outcome "never" is still fenced after a restart, down to the id floor. */
  async #checkFences(): Promise<void> {
    const { clock, checker } = this.#world;
    const { never } = checker;
    if (never.length === 0) return;
    const open = this.#disk.copy().open;
    const options = { storage, clock, log: this.#world.log("server's disk"), outcomeAgeMs: timings.outcomeAgeMs };
    const store = await ObjectStore.open(open, options);
    for (const [id, snapshot] of never) {
      // A late copy of it is refused by its snapshot.
      if (snapshot < store.idFloor || store.outcome(id)?.type === "fenced") continue;
      checker.violated(8, "a fence is durable", { id, snapshot, outcome: store.outcome(id)?.type });
    }
  }

  /** Ends the process as kill -9 does. */
  kill(): void {
    if (this.#clock === undefined) return;
    this.#world.note("server", "killed");
    this.#process++;
    this.#clock.stop();
    this.#end?.kill();
    this.#disk.crash();
    this.#clock = undefined;
    this.#end = undefined;
    this.#server = undefined;
  }

  /** Acts as an operator that does not wait for the end of a probation. */
  repair(): void {
    if (this.isOnProbation) this.kill();
    this.start();
  }

  /** Moves its wall clock for good. */
  shiftWall(ms: number): void {
    this.#skewMs += ms;
    this.#clock?.shiftWall(ms);
  }

  /** Keeps a copy of the durable data. */
  backUp(): void {
    this.#backup = { disk: this.#disk.copy(), moment: this.#world.checker.history.head };
  }

  /** Kills the process and replaces its disk by the last backup, if there is one: later commits are lost. */
  restore(): void {
    this.kill();
    if (this.#backup === undefined) return;
    const { disk, moment } = this.#backup;
    this.#world.note("server", `restored to ${moment.tid}`);
    this.#disk = disk.copy({ onDurable: this.#onDurable });
    this.#world.checker.restored(moment);
  }

  /** The process ended itself: an operator starts it again. */
  #exited(error: unknown): void {
    const world = this.#world;
    world.note("server", `exited: ${String(error)}`);
    world.unlessExpected("server", error);
    void (async () => {
      // The process stays until the call that ended it has returned.
      await delay(world.clock, 0);
      this.kill();
      await delay(world.clock, 50 + this.#random.fraction() * 500);
      this.start();
    })();
  }
}
