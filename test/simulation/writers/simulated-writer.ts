import { type StorageServer, startStorageServer } from "../../../actors/server/server.js";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { type Random, delay } from "../../../core/index.js";
import { realm, storage, timings } from "../objects/world.js";
import type { WritersWorld } from "./writers-world.js";

/**
 * One of several storage servers of one storage, each on its own disk. After a failure, an operator starts it again.
 */
export class SimulatedWriter {
  readonly name: string;
  readonly #world: WritersWorld;
  readonly #random: Random;
  readonly #disk: SimulatedDisk;
  readonly #skewMs: number;
  #clock: NodeClock | undefined;
  #end: NetworkEnd | undefined;
  #server: StorageServer | undefined;
  #process = 0;
  /** Since when it serves on an unbroken link. Infinity: it does not serve, or has no link. */
  #presentSinceMs = Infinity;

  constructor(world: WritersWorld, name: string) {
    this.name = name;
    this.#world = world;
    this.#random = world.random();
    this.#skewMs = (this.#random.fraction() - 0.5) * 20_000;
    this.#disk = new SimulatedDisk({ name: `${name}-disk`, clock: world.clock, random: world.random() });
  }

  /** Number of processes that were started. */
  get started(): number {
    return this.#process;
  }

  get isServing(): boolean {
    return this.#server?.storages.includes(storage) === true;
  }

  get end(): NetworkEnd | undefined {
    return this.#end;
  }

  get clock(): NodeClock | undefined {
    return this.#clock;
  }

  /** Time, in ms, for which it has served on an unbroken link. */
  get presentMs(): number {
    return this.isServing ? this.#world.clock.monotonic() - this.#presentSinceMs : 0;
  }

  start(): void {
    if (this.#clock !== undefined) return;
    const world = this.#world;
    const process = ++this.#process;
    const clock = world.clock.node(this.#skewMs);
    const log = world.log(this.name);
    world.note(this.name, `start ${process}`);
    this.#clock = clock;
    const end = world.network.connect(this.name, { clock, log, awake: clock.awake });
    this.#end = end;
    end.onStatus((status) => {
      this.#presentSinceMs = status === "connected" && this.isServing ? world.clock.monotonic() : Infinity;
    });
    const fail = (error: unknown): void => {
      if (process === this.#process) this.#ended(error);
    };
    startStorageServer({
      realm,
      storages: { [storage]: { open: this.#disk.open } },
      transport: end,
      clock,
      random: world.random(),
      log,
      heartbeatIntervalMs: timings.heartbeatIntervalMs,
      onFatal: fail,
    }).then((server) => {
      if (process !== this.#process) return;
      world.note(this.name, "serves");
      world.checkAlone(this);
      this.#server = server;
      if (end.status === "connected") this.#presentSinceMs = world.clock.monotonic();
    }, fail);
  }

  kill(): void {
    if (this.#clock === undefined) return;
    this.#world.note(this.name, "killed");
    this.#process++;
    this.#clock.stop();
    this.#end?.kill();
    this.#disk.crash();
    this.#clock = undefined;
    this.#end = undefined;
    this.#server = undefined;
    this.#presentSinceMs = Infinity;
  }

  /** The process ended itself, or could not start: it is started again after a while. */
  #ended(error: unknown): void {
    const world = this.#world;
    world.note(this.name, `ended: ${String(error)}`);
    world.unlessExpected(this.name, error);
    void (async () => {
      await delay(world.clock, 0);
      this.kill();
      await delay(world.clock, 300 + this.#random.fraction() * 700);
      this.start();
    })();
  }
}
