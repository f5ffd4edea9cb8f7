import type { StorageOptions, StorageServer } from "../../actors/storage-server.js";
import { startStorageServer } from "../../actors/storage-server.js";
import type { View } from "../../storage/ordered-store.js";
import { ObjectStore } from "../../storage/object-store.js";
import type { NetworkEnd } from "../../testing/network-end.js";
import type { PlaceClock } from "../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../testing/simulated-disk.js";
import type { Chance } from "../../words/index.js";
import { delay } from "../../words/index.js";
import type { Moment } from "./history.js";
import { oneOf } from "./play-faults.js";
import type { World } from "./world.js";
import { pruningIntervalsMs, realm, storage, timings } from "./world.js";

/** How much of its history a server keeps; undefined: all. Short ones see snapshots grow too old, long ones tell old outcomes. */
const historyAges = [
  { historyAgeMs: 60, snapshotRetentionMs: 50 },
  { historyAgeMs: 250, snapshotRetentionMs: 200 },
  { historyAgeMs: 1_500, snapshotRetentionMs: 1_200 },
  { historyAgeMs: undefined, snapshotRetentionMs: 1_200 },
] as const;

interface Backup {
  readonly disk: SimulatedDisk;
  readonly moment: Moment;
}

/** Where the storage server runs: a process on a disk, looked after by somebody who starts it again. */
export class ServerPlace {
  readonly #world: World;
  readonly #chance: Chance;
  readonly #storageOptions: Omit<StorageOptions, "open">;
  readonly #pruningIntervalMs: number;
  #disk: SimulatedDisk;
  #clock: PlaceClock | undefined;
  #end: NetworkEnd | undefined;
  #server: StorageServer | undefined;
  #skewMs = 0;
  /** Counts its processes: what an earlier one still says is not heard. */
  #process = 0;
  #backup: Backup | undefined;

  readonly #onDurable = (view: View): void => {
    for (const { tid, writes } of this.#world.checker.durable(view))
      this.#world.note("server", `durable ${tid} ${[...writes.keys()].join(" ")}`);
  };

  constructor(world: World) {
    this.#world = world;
    this.#chance = world.chance();
    const historyAge = oneOf(historyAges, this.#chance);
    this.#pruningIntervalMs = oneOf(pruningIntervalsMs, this.#chance);
    this.#storageOptions = { ...historyAge, outcomeAgeMs: timings.outcomeAgeMs, invalidationQueueSize: 5 };
    this.#disk = new SimulatedDisk({
      name: "server-disk",
      clock: world.clock,
      chance: world.chance(),
      onDurable: (view) => {
        for (const moment of world.checker.durable(view))
          world.note("server", `durable ${moment.tid} ${[...moment.writes.keys()].join(" ")}`);
      },
    });
  }

  get disk(): SimulatedDisk {
    return this.#disk;
  }

  get isUp(): boolean {
    return this.#clock !== undefined;
  }

  /** It has been started, serves, and is not busy finding out what a failed write has left. */
  get isServing(): boolean {
    if (this.#server?.storages.includes(storage) !== true) return false;
    const state = this.#server.status(storage).machines["group-commit"] ?? "";
    return !["inDoubt", "reopening", "readOnly"].includes(state);
  }

  /** Which of its processes serves. */
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
    const clock = world.clock.place(this.#skewMs);
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
      chance: world.chance(),
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

  /** What was said never to be is still fenced off after a restart, down to the id floor. */
  async #checkFences(): Promise<void> {
    const { clock, checker } = this.#world;
    const { never } = checker;
    if (never.length === 0) return;
    const open = this.#disk.copy().open;
    const options = { storage, clock, log: this.#world.log("server's disk"), outcomeAgeMs: timings.outcomeAgeMs };
    const store = await ObjectStore.open(open, options);
    for (const [id, snapshot] of never) {
      // A copy of it that is as late as that is refused by its snapshot.
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

  /** An operator looks after it: one whose disk failed too often takes no writes until it is started again. */
  repair(): void {
    if (this.#server?.status(storage).readOnly === true) this.kill();
    this.start();
  }

  /** Moves its wall clock, for good. */
  shiftWall(ms: number): void {
    this.#skewMs += ms;
    this.#clock?.shiftWall(ms);
  }

  /** Keeps a copy of what is durable now. */
  backUp(): void {
    this.#backup = { disk: this.#disk.copy(), moment: this.#world.checker.history.head };
  }

  /** Kills the process, and puts the last backup, if there is one, in the place of its disk: what came after is lost. */
  restore(): void {
    this.kill();
    if (this.#backup === undefined) return;
    const { disk, moment } = this.#backup;
    this.#world.note("server", `restored to ${moment.tid}`);
    this.#disk = disk.copy({ onDurable: this.#onDurable });
    this.#world.checker.restored(moment);
  }

  /** It ended itself: whoever looks after it starts it again. */
  #exited(error: unknown): void {
    const world = this.#world;
    world.note("server", `exited: ${String(error)}`);
    world.unlessExpected("server", error);
    void (async () => {
      // The process is left standing until what it was doing has returned.
      await delay(world.clock, 0);
      this.kill();
      await delay(world.clock, 50 + this.#chance.fraction() * 500);
      this.start();
    })();
  }
}
