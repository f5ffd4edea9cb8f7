/** A storage server in memory on a simulated clock. The test decides when and how its disk writes. */
import { startStorageServer, type StorageOptions, type StorageServer, type StorageServerOptions } from "../../actors/server/server.js";
import { MemoryDisk } from "../../testing/memory-store.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { createBroker } from "../../transport/in-process.js";
import { type Clock, seededRandom, silentLog } from "../../core/index.js";
import { WireClient } from "./wire-client.js";

/** A write that waits until the test finishes it. */
export interface HeldWrite {
  /** Applies the write and reports success to the server. */
  finish(): void;
  /** Reports a failure to the server. `applied` says whether the write is on the disk all the same. */
  fail(applied: boolean): void;
}

/** A disk that writes at once, except while the test holds it. */
export class TestDisk {
  readonly #waiting: HeldWrite[] = [];
  readonly disk: MemoryDisk;
  held = false;
  /** A batch that nothing waits behind is on the disk before the write returns, as in LMDB. */
  writesLoneAtOnce = false;
  /** Number of writes so far, of any kind. */
  writes = 0;
  openFails = false;

  constructor(name = "main") {
    const write = (apply: () => void): Promise<void> => {
      this.writes++;
      if (!this.held) {
        apply();
        return Promise.resolve();
      }
      return new Promise((resolve, reject) => {
        this.#waiting.push({
          finish: () => {
            apply();
            resolve();
          },
          fail: (applied) => {
            if (applied) apply();
            reject(new Error("the disk failed"));
          },
        });
      });
    };
    this.disk = new MemoryDisk(name, write, (apply) => {
      if (!this.writesLoneAtOnce || this.held) return false;
      this.writes++;
      apply();
      return true;
    });
  }

  readonly open: StorageOptions["open"] = () => (this.openFails ? Promise.reject(new Error("the disk is gone")) : this.disk.open());

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The oldest waiting write. */
  next(): HeldWrite {
    const write = this.#waiting.shift();
    if (write === undefined) throw new Error("no write waits");
    return write;
  }
}

export type WorldOptions = Partial<Omit<StorageServerOptions, "storages" | "transport" | "clock" | "random" | "onFatal">> & {
  readonly storage?: Partial<StorageOptions>;
  readonly payloadBytesMax?: number;
  /** Makes the server's clock from the clock of the world. */
  readonly serverClock?: (clock: SimulatedClock) => Clock;
};

export interface ServerWorld {
  readonly clock: SimulatedClock;
  readonly disk: TestDisk;
  readonly server: StorageServer;
  readonly fatal: unknown[];
  readonly broker: ReturnType<typeof createBroker>;
  /** A registered client on a transport of its own. */
  client(name?: string, clientSecret?: string): Promise<WireClient>;
  /** Serves the same storage again, by a new instance. */
  restart(options?: WorldOptions): Promise<StorageServer>;
  /** Resolves when everything has happened that needs no time. */
  settled(): Promise<void>;
}

/** Far from the seeds that tests name: two processes with the same seed have the same instance id. */
let seed = 1_000_000;

export async function serverWorld(options: WorldOptions = {}): Promise<ServerWorld> {
  const clock = new SimulatedClock();
  const disk = new TestDisk();
  const fatal: unknown[] = [];
  const { payloadBytesMax } = options;
  const broker = createBroker({ clock, ...(payloadBytesMax === undefined ? {} : { payloadBytesMax }) });
  const start = ({ storage, payloadBytesMax: _, serverClock = (same) => same, ...rest }: WorldOptions) =>
    clock.settle(
      startStorageServer({
        realm: "test",
        log: silentLog,
        ...rest,
        storages: { main: { open: disk.open, ...storage } },
        transport: broker.connect(),
        clock: serverClock(clock),
        random: seededRandom(++seed),
        onFatal: (error) => fatal.push(error),
      }),
      10_000,
    );
  return {
    clock,
    disk,
    fatal,
    broker,
    server: await start(options),
    async client(name = "tester", clientSecret) {
      const client = new WireClient(broker.connect(), "test", "main", clientSecret);
      await client.register({ client: name });
      return client;
    },
    restart: (again = options) => start(again),
    settled: () => clock.advance(0),
  };
}
