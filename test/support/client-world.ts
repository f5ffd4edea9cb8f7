/** Real clients of a real server, in memory, on a simulated clock. */
import { openObjectClient, type ObjectClient } from "../../actors/client/object-client.js";
import type { ObjectClientOptions } from "../../actors/client/options.js";
import type { UntypedSchema } from "../../actors/protocol/schema.js";
import { MemoryDisk } from "../../testing/memory-store.js";
import { seededRandom, silentLog, type Log } from "../../core/index.js";
import { serverWorld, type ServerWorld, type WorldOptions } from "./server-world.js";
import { TappedTransport } from "./tapped-transport.js";

export interface ClientWorld extends ServerWorld {
  open(name: string, options?: Partial<ObjectClientOptions<UntypedSchema>>): Promise<TappedClient>;
  /** Awaits `promise` while simulated time passes, at most one minute. */
  run<T>(promise: Promise<T>): Promise<T>;
  end(): void;
}

export interface TappedClient {
  readonly client: ObjectClient;
  readonly transport: TappedTransport;
}

let seed = 2_000_000;

export async function clientWorld(options: WorldOptions = {}): Promise<ClientWorld> {
  const world = await serverWorld(options);
  const clients: ObjectClient[] = [];
  const run = <T>(promise: Promise<T>) => world.clock.settle(promise, 60_000);
  return {
    ...world,
    run,
    async open(name, clientOptions = {}) {
      const transport = new TappedTransport(world.broker.connect());
      const opening = openObjectClient({
        realm: "test",
        storage: "main",
        client: name,
        transport,
        cache: undefined,
        clock: world.clock,
        random: seededRandom(seed++),
        ...clientOptions,
      });
      const client = await run(opening);
      clients.push(client);
      return { client, transport };
    },
    end() {
      for (const client of clients.splice(0)) client.kill();
    },
  };
}

/** A disk for a client cache. It writes at once and outlives its client. */
export function cacheDisk(): MemoryDisk {
  return new MemoryDisk("cache", (apply) => {
    apply();
    return Promise.resolve();
  });
}

/** A log that keeps the fatal records. */
export function fatalLog(): Log & { readonly fatals: { readonly facts: object; readonly message: string }[] } {
  const fatals: { facts: object; message: string }[] = [];
  return { ...silentLog, fatals, fatal: (facts, message) => void fatals.push({ facts, message }) };
}

export async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const row of rows) taken.push(row);
  return taken;
}
