import type { Random, Clock } from "../core/index.js";
import { assert, delay } from "../core/index.js";
import { MemoryDisk } from "./memory-store.js";
import type { OpenStore, OrderedStore, View } from "../storage/kv/ordered-store.js";

/** Times and faults of a simulated disk. */
export interface DiskFaults {
  /** Time from the start of a batch until it is durable, in ms. */
  readonly latencyMsMin: number;
  readonly latencyMsMax: number;
  /**
   * Maximal time, in ms, between a batch being durable (each view shows it) and its writer learning so, as in a busy
   * process.
   */
  readonly notifyMsMax: number;
  /**
   * Chance, in [0, 1], that a batch written `alone`, with no other batch in flight, is durable before `batch` returns.
   */
  readonly inTurn: number;
  /** Chance, in [0, 1], that a batch fails in doubt. Half of these batches are on the disk nevertheless. */
  readonly doubt: number;
}

/** A disk without failures. A batch takes 0.2 to 2 ms; 30 % of the batches written `alone` take no time. */
export const healthyDisk: DiskFaults = { latencyMsMin: 0.2, latencyMsMax: 2, notifyMsMax: 0, inTurn: 0.3, doubt: 0 };

/** Seams and faults of a disk. Default: no failures. */
export interface SimulatedDiskOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly faults?: DiskFaults;
  /** Called when a batch has become durable, before its writer knows, with a view that shows it. */
  readonly onDurable?: (view: View) => void;
}

/** A disk whose batches take time, may fail in doubt, and are lost in a crash unless they were durable. */
export class SimulatedDisk {
  faults: DiskFaults;
  /** Number of batches whose writer has learned that they failed. */
  failures = 0;
  readonly #options: SimulatedDiskOptions;
  readonly #disk: MemoryDisk;
  #store: OrderedStore | undefined;
  /** Makes the batch in the air durable. */
  #inTheAir: (() => void) | undefined;

  constructor(options: SimulatedDiskOptions, copied?: MemoryDisk) {
    this.faults = options.faults ?? healthyDisk;
    this.#options = options;
    const write = (apply: () => void) => this.#write(apply);
    const writeNow = (apply: () => void) => this.#writeNow(apply);
    this.#disk = copied === undefined ? new MemoryDisk(options.name, write, writeNow) : copied.copy(options.name, write, writeNow);
  }

  /** An OpenStore. Rejects with InUseError until the previous store is closed or the disk crashes. */
  readonly open: OpenStore = async () => {
    this.#store = await this.#disk.open();
    return this.#store;
  };

  /** Kills the process that uses the disk. A batch in the air is on the disk or lost, each with a chance of 1/2. */
  crash(): void {
    if (this.#inTheAir !== undefined && this.#options.random.fraction() < 0.5) this.#inTheAir();
    this.#inTheAir = undefined;
    this.#disk.crash();
    this.#store = undefined;
  }

  /**
   * Removes all data, as removing the folder of a closed store does. Fails as often as a batch does, and then removes
   * nothing.
   */
  async erase(): Promise<void> {
    const { clock, random } = this.#options;
    const { latencyMsMin, latencyMsMax, doubt } = this.faults;
    const store = this.#store;
    await delay(clock, latencyMsMin + random.fraction() * (latencyMsMax - latencyMsMin));
    // The process was killed meanwhile.
    if (this.#store !== store) return;
    if (doubt > 0 && random.fraction() < doubt) throw new Error("the simulated disk failed");
    this.#disk.erase();
  }

  /** Another disk with the durable data of this one: a backup, or a way to read a disk that is in use. */
  copy(options: Partial<SimulatedDiskOptions> = {}): SimulatedDisk {
    return new SimulatedDisk(
      { name: this.#options.name, clock: this.#options.clock, random: this.#options.random, ...options },
      this.#disk,
    );
  }

  #writeNow(apply: () => void): boolean {
    const { inTurn } = this.faults;
    const isWritten = inTurn > 0 && this.#options.random.fraction() < inTurn;
    if (isWritten) this.#become(apply, this.#store);
    return isWritten;
  }

  #become(apply: () => void, store: OrderedStore | undefined): void {
    apply();
    if (this.#options.onDurable !== undefined) store?.read(this.#options.onDurable);
  }

  async #write(apply: () => void): Promise<void> {
    const { clock, random } = this.#options;
    const { latencyMsMin, latencyMsMax } = this.faults;
    const store = this.#store;
    const become = () => this.#become(apply, store);
    assert(this.#inTheAir === undefined, "one batch is in the air at a time");
    this.#inTheAir = become;
    await delay(clock, latencyMsMin + random.fraction() * (latencyMsMax - latencyMsMin));
    if (this.#inTheAir !== become) return;
    this.#inTheAir = undefined;
    const { doubt, notifyMsMax } = this.faults;
    const fails = doubt > 0 && random.fraction() < doubt;
    if (!fails || random.fraction() < 0.5) become();
    if (notifyMsMax > 0) await delay(clock, random.fraction() * notifyMsMax);
    if (!fails) return;
    // The process may have been killed meanwhile.
    if (this.#store === store) this.failures++;
    throw new Error("the simulated disk failed");
  }
}
