import { type ObjectClient, openObjectClient } from "../../../actors/client/object-client.js";
import { type StorageServer, startStorageServer } from "../../../actors/server/server.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { SimulatedDisk } from "../../../testing/simulated-disk.js";
import { timings } from "../objects/world.js";
import { realm, type RecordWorld } from "./record-world.js";
import type { Place, Tenant } from "./users.js";

/** A place with a link to the broker. */
export type LinkedPlace = Place & { readonly end: NetworkEnd };

/** The storage server, whose machines are recorded. Several processes may be it, one at a time. */
export class StoreServer implements Tenant {
  readonly pauseMs = 10_000;
  readonly hasSteadyFacts = false;
  readonly #disk: SimulatedDisk;
  #server: StorageServer | undefined;

  constructor(world: RecordWorld, disk: SimulatedDisk, { process, clock, end, random, log, name }: LinkedPlace) {
    this.#disk = disk;
    const fail = (error: unknown) => {
      world.unlessExpected(name, error);
    };
    startStorageServer({
      ...{ realm, transport: end, clock, random, log, system: process.system },
      storages: { main: { open: disk.open } },
      heartbeatIntervalMs: timings.heartbeatIntervalMs,
      onFatal: fail,
    }).then((server) => (this.#server = server), fail);
  }

  act(): void {
    // Its clients do all.
  }

  burst(): void {
    // Its clients do all.
  }

  killed(): void {
    this.#disk.crash();
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}

const keys = ["a", "b", "c"];

/** A client of the store, which commits: its machines and its commits are recorded. */
export class StoreClient implements Tenant {
  readonly pauseMs = 500;
  readonly hasSteadyFacts = false;
  readonly #place: Place;
  readonly #world: RecordWorld;
  #client: ObjectClient | undefined;

  constructor(world: RecordWorld, place: LinkedPlace) {
    this.#place = place;
    this.#world = world;
    const { process, clock, end, random, log, name } = place;
    openObjectClient({
      ...{ realm, storage: "main", transport: end, client: name, cache: undefined, clock, random, log, system: process.system },
      waitTimeoutMs: timings.waitTimeoutMs,
      requestTimeoutMs: timings.requestTimeoutMs,
      heartbeatTimeoutMs: timings.heartbeatTimeoutMs,
    }).then(
      (client) => (this.#client = client),
      (error: unknown) => {
        world.unlessExpected(name, error);
      },
    );
  }

  act(): void {
    const { random, name } = this.#place;
    const client = this.#client;
    if (client === undefined) return;
    const key = keys[Math.floor(random.fraction() * keys.length)] ?? "a";
    const value = random.fraction();
    const done = client.transact(async (tx) => {
      await tx.get(key);
      await tx.put(key, value);
    });
    done.catch((error: unknown) => {
      this.#world.unlessExpected(name, error);
    });
  }

  burst(): void {
    for (let time = 0; time < 5; time++) this.act();
  }

  killed(): void {
    // Its disk is its memory.
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}
