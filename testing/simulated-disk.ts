import type { Random, Clock } from "../core/index.js";
import { assert, delay } from "../core/index.js";
import { MemoryDisk } from "../storage/kv/memory-store.js";
import type { OpenStore, OrderedStore, View } from "../storage/kv/ordered-store.js";

/** How a simulated disk does its work. */
export interface DiskFaults {
  /** Time from a batch's begin until it is durable, in ms. */
  readonly latencyMsMin: number;
  readonly latencyMsMax: number;
  /** Time at most from when a batch is durable, and seen by every view, until its writer is told: as in a process that is busy. */
  readonly tellingMsMax: number;
  /** Chance, in [0, 1], that a batch which nothing else waits for is durable before its writer goes on. */
  readonly inTurn: number;
  /** Chance, in [0, 1], that a batch fails in doubt: every other such batch is on the disk all the same. */
  readonly doubt: number;
}

/** A disk that takes 0.2 to 2 ms a batch, none for some of those that are alone, and always says what became of it. */
export const healthyDisk: DiskFaults = { latencyMsMin: 0.2, latencyMsMax: 2, tellingMsMax: 0, inTurn: 0.3, doubt: 0 };

/** What decides a disk's times and doubts; sound unless told. */
export interface SimulatedDiskOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly faults?: DiskFaults;
  /** Called when a batch has become durable, before whoever wrote it knows, with a view that shows it. */
  readonly onDurable?: (view: View) => void;
}

/** A disk whose batches take time, may fail in doubt, and are lost in a crash unless they were durable. */
export class SimulatedDisk {
  faults: DiskFaults;
  /** Batches so far whose writer was told that they failed. */
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

  /** An OpenStore. Rejects with InUseError until the store opened before was closed, or the disk crashed. */
  readonly open: OpenStore = async () => {
    this.#store = await this.#disk.open();
    return this.#store;
  };

  /** The process that uses it is killed. The batch in the air, if there is one, is on the disk or not, as chance has it. */
  crash(): void {
    if (this.#inTheAir !== undefined && this.#options.random.fraction() < 0.5) this.#inTheAir();
    this.#inTheAir = undefined;
    this.#disk.crash();
    this.#store = undefined;
  }

  /** Removes all that is on it, as one removes the folder of a store that is closed. Fails as often as a batch does; then nothing is removed. */
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

  /** Another disk with what is durable on this one: a backup, or a way to look at a disk that is in use. */
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
    const { doubt, tellingMsMax } = this.faults;
    const fails = doubt > 0 && random.fraction() < doubt;
    if (!fails || random.fraction() < 0.5) become();
    if (tellingMsMax > 0) await delay(clock, random.fraction() * tellingMsMax);
    if (!fails) return;
    // The process may have been killed meanwhile.
    if (this.#store === store) this.failures++;
    throw new Error("the simulated disk failed");
  }
}
