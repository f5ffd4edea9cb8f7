import type { ObjectClient } from "../../../actors/client/object-client.js";
import { openObjectClient } from "../../../actors/client/object-client.js";
import { ClientCache } from "../../../storage/client-cache/client-cache.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import type { Random } from "../../../core/index.js";
import { delay, OtherHistoryError, ServerBehindError } from "../../../core/index.js";
import type { Attempt, Life } from "./checker.js";
import { ObjectFunctions } from "../coherence/object-functions.js";
import { ObjectUser } from "../coherence/object-user.js";
import { Mirror } from "./mirror.js";
import { Watch } from "./watch.js";
import { Workload } from "./workload.js";
import type { World } from "./world.js";
import { keys, realm, storage, timings } from "./world.js";

export interface ClientTraits {
  /** Whether its cache is on a disk. Otherwise it dies with the process. */
  readonly isPersistent: boolean;
  readonly onOtherHistory: "refuse" | "discard";
  /** In some runs so small that entries are evicted now and then. */
  readonly cacheBytesMax: number;
  readonly memoryBytesMax: number;
  /** Number of users. Each has one transaction at a time. */
  readonly users: number;
  /** Whether the client is opened for reading only: its users' writes are refused. */
  readonly isReadOnly: boolean;
  /** Whether a watcher in it checks changes. */
  readonly watches: boolean;
  /** Number of copies below a prefix that watchers in it keep current. */
  readonly mirrors: number;
  /** Number of callers of cached functions that read the store. */
  readonly callers: number;
}

/**
 * A client: a process with a workload, perhaps with a disk that outlives it. After a failure, an operator opens it
 * again.
 */
export class SimulatedClient {
  readonly name: string;
  readonly #world: World;
  readonly #faults: ClientTraits;
  readonly #random: Random;
  #disk: SimulatedDisk | undefined;
  #clock: NodeClock | undefined;
  #end: NetworkEnd | undefined;
  #client: ObjectClient | undefined;
  #workload: Workload | undefined;
  #watch: Watch | undefined;
  #mirrors: readonly Mirror[] = [];
  #caller: ObjectUser | undefined;
  #life: Life | undefined;
  #openAttempts = new Set<Attempt>();
  #lives = 0;
  #skewMs = 0;

  constructor(world: World, name: string, faults: ClientTraits) {
    this.name = name;
    this.#world = world;
    this.#faults = faults;
    this.#random = world.random();
    if (faults.isPersistent) this.#disk = this.#newDisk();
  }

  get isReadOnly(): boolean {
    return this.#faults.isReadOnly;
  }

  get disk(): SimulatedDisk | undefined {
    return this.#disk;
  }

  get end(): NetworkEnd | undefined {
    return this.#end;
  }

  get clock(): NodeClock | undefined {
    return this.#clock;
  }

  /** Moves the wall clock of its machine for good. */
  shiftWall(ms: number): void {
    this.#skewMs += ms;
    this.#clock?.shiftWall(ms);
  }

  get client(): ObjectClient | undefined {
    return this.#client;
  }

  /** Undefined while the process is down, starts or stops. */
  get workload(): Workload | undefined {
    return this.#workload;
  }

  /** Undefined while the process is down. */
  get life(): Life | undefined {
    return this.#life;
  }

  open(): void {
    if (this.#life !== undefined) return;
    const world = this.#world;
    const life: Life = { client: this.name, number: ++this.#lives, lastSnapshot: undefined, lastCommit: undefined, ownWrites: new Map() };
    world.note(this.name, `open ${life.number}`);
    const clock = world.clock.node(this.#skewMs);
    this.#life = life;
    this.#clock = clock;
    this.#openAttempts = new Set();
    this.#end = world.network.connect(this.name, { clock, log: world.log(this.name), awake: clock.awake });
    openObjectClient({
      realm,
      storage,
      transport: this.#end,
      client: this.name,
      cache: this.#disk?.open,
      clock,
      random: world.random(),
      log: world.log(this.name),
      readOnly: this.#faults.isReadOnly,
      onOtherHistory: this.#faults.onOtherHistory,
      cacheBytesMax: this.#faults.cacheBytesMax,
      memoryBytesMax: this.#faults.memoryBytesMax,
      waitTimeoutMs: timings.waitTimeoutMs,
      requestTimeoutMs: timings.requestTimeoutMs,
      heartbeatTimeoutMs: timings.heartbeatTimeoutMs,
    }).then(
      (client) => {
        if (this.#life !== life) return;
        this.#client = client;
        const workload = new Workload({ world, clock, client, life, random: world.random(), openAttempts: this.#openAttempts });
        this.#workload = workload;
        if (this.#faults.watches) this.#watch = new Watch(world, client, life, this.#random);
        this.#mirrors = Array.from(
          { length: this.#faults.mirrors },
          () => new Mirror({ world, client, clock, random: world.random(), life }),
        );
        this.#startCallers(workload, client, clock, life);
        for (let user = 0; user < this.#faults.users; user++) {
          workload.run().catch((error: unknown) => {
            if (this.#life === life) this.#failed(error);
          });
        }
      },
      (error: unknown) => {
        if (this.#life === life) this.#failed(error);
      },
    );
  }

  #startCallers(workload: Workload, client: ObjectClient, clock: NodeClock, life: Life): void {
    const world = this.#world;
    const { callers, isReadOnly } = this.#faults;
    if (callers === 0) return;
    const functions = new ObjectFunctions({ world, client, clock, random: world.random(), life, log: world.log(this.name) });
    const open = () => new ObjectUser({ world, functions, workload, clock, random: world.random(), life, isReadOnly });
    this.#caller = open();
    for (let caller = 0; caller < callers; caller++) void open().run();
  }

  /** Ends the process as kill -9 does. Resolves when its disk is checked; from then on it can be opened again. */
  async kill(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    if (this.#mirrors.length > 0) await this.#killClient();
    if (this.#life !== life) return;
    this.#world.note(this.name, "killed");
    this.#end?.kill();
    this.#disk?.crash();
    for (const attempt of this.#openAttempts) this.#world.checker.forgotten(attempt);
    this.#leave();
    await this.checkDisk();
  }

  /** Kills the client first, in a process that goes on for a moment. */
  async #killClient(): Promise<void> {
    const mirrors = this.#mirrors;
    this.#mirrors = [];
    this.#world.note(this.name, "client killed");
    this.#client?.kill();
    await this.#checkEnded(mirrors);
  }

  /** Checks that the mirrors have ended, once all effects of the end of their client have settled. */
  async #checkEnded(mirrors: readonly Mirror[]): Promise<void> {
    await delay(this.#world.clock, 0);
    for (const mirror of mirrors) mirror.checkEnded();
  }

  /** Ends the process in an orderly way. Resolves when it can be opened again, or was killed meanwhile. */
  async close(): Promise<void> {
    const life = this.#life;
    const client = this.#client;
    if (life === undefined) return;
    if (client === undefined) return this.kill();
    this.#world.note(this.name, "closes");
    this.#workload = undefined;
    const mirrors = this.#mirrors;
    await client.close();
    if (mirrors.length > 0) {
      await this.#checkEnded(mirrors);
      if (this.#life !== life) return;
    }
    await this.#end?.close();
    if (this.#life !== life) return;
    // All its transactions have ended: one without an acknowledgement is not committed, and never will be.
    for (const attempt of this.#openAttempts) this.#world.checker.refused(attempt);
    this.#world.note(this.name, "closed");
    this.#leave();
    await this.checkDisk();
  }

  /** Checks that the watcher got all commits under its prefix. Call it when no message is in flight. */
  checkWatch(): void {
    this.#watch?.checkGotAll();
  }

  /** Whether all mirrors have handled all changes. */
  get areMirrorsLevel(): boolean {
    return this.#mirrors.every(({ isLevel }) => isLevel);
  }

  /**
   * Calls each cached function; the results must be current. Call it once the client's position equals the server's.
   */
  async checkCalls(): Promise<void> {
    await this.#caller?.lookAtAll();
  }

  /** Checks that each value which the cache on disk counts as current is current at the cache's last tid. */
  async checkDisk(): Promise<void> {
    if (this.#disk === undefined) return;
    const { clock, checker } = this.#world;
    const open = this.#disk.copy().open;
    const cache = await ClientCache.open({
      realm,
      storage,
      open,
      log: this.#world.log(`${this.name}'s disk`),
      clock,
    });
    const { position } = cache;
    for (const key of keys) {
      const revision = cache.find(key, position.tid);
      if (revision !== undefined) checker.cached(this.name, position, key, revision.value as string | undefined);
    }
  }

  /** An operator kills a process that cannot go on, deletes a cache of another history, and opens the process again. */
  #failed(error: unknown): void {
    const world = this.#world;
    world.note(this.name, `failed: ${String(error)}`);
    world.unlessExpected(this.name, error);
    void (async () => {
      await delay(world.clock, 0);
      await this.kill();
      if (this.#disk !== undefined && (error instanceof OtherHistoryError || error instanceof ServerBehindError))
        this.#disk = this.#newDisk();
      await delay(world.clock, 50 + this.#random.fraction() * 300);
      this.open();
    })();
  }

  /** The run is over: releases everything of the process. */
  abandon(): void {
    this.#leave();
  }

  #leave(): void {
    this.#clock?.stop();
    this.#life = undefined;
    this.#clock = undefined;
    this.#end = undefined;
    this.#client = undefined;
    this.#workload = undefined;
    this.#watch = undefined;
    this.#caller?.end();
    this.#mirrors = [];
    this.#caller = undefined;
  }

  #newDisk(): SimulatedDisk {
    return new SimulatedDisk({ name: `${this.name}-disk`, clock: this.#world.clock, random: this.#world.random() });
  }
}
