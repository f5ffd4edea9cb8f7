import type { Change } from "../../../actors/client/watching.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { type Random, ClosedError, delay, type Tid } from "../../../core/index.js";
import type { Life } from "./checker.js";
import { listAt } from "../common/history.js";
import type { WatchedClient } from "./watch.js";
import type { World } from "./world.js";
import { prefixes } from "./world.js";

interface MirroredReader {
  get(key: string): Promise<unknown>;
  list(prefix: string): AsyncIterable<readonly [key: string, value: unknown]>;
}

/** The part of a client that a mirror uses. */
export interface MirroredClient extends WatchedClient {
  read<T>(
    use: (reader: MirroredReader) => Promise<T>,
    options?: { readonly after?: Tid },
  ): Promise<{ readonly value: T; readonly asOf: Tid }>;
}

export interface MirrorDeps {
  readonly world: Pick<World, "checker" | "isCalm" | "unlessExpected">;
  readonly client: MirroredClient;
  readonly clock: NodeClock;
  readonly random: Pick<Random, "fraction">;
  readonly life: Life;
}

/** The value that a mirror holds of a key, and the transaction as of which it was read. */
interface Copy {
  readonly value: string | undefined;
  readonly asOf: Tid;
}

/**
 * A copy of the objects below a prefix, which a watcher in a client keeps current: it lists them, then reads each key
 * that changes, and lists again after a reset. Some mirrors take their time over each change.
 *
 * 1. A read after a change is as of that change or later, and gives a committed value.
 * 2. When the mirror has handled all changes, it equals the storage at its client's position.
 * 3. The mirror ends when its client ends.
 */
export class Mirror {
  readonly #deps: MirrorDeps;
  readonly #prefix: string;
  readonly #isSlow: boolean;
  readonly #copies = new Map<string, Copy>();
  /** Whether it was listed since the last reset. */
  #isListed = false;
  #isIdle = false;
  #isPausing = false;
  #hasEnded = false;

  constructor(deps: MirrorDeps) {
    const { random } = deps;
    this.#deps = deps;
    this.#prefix = ["", ...prefixes][Math.floor(random.fraction() * (prefixes.length + 1))] ?? "";
    this.#isSlow = random.fraction() < 0.4;
    void this.#run(deps.client.watch(this.#prefix));
  }

  /** Whether it has handled all changes. */
  get isLevel(): boolean {
    return this.#isIdle && this.#isListed;
  }

  /** Its client was closed or killed: checks that the watcher has ended. */
  checkEnded(): void {
    if (!this.#hasEnded && !this.#isPausing) this.#deps.world.checker.violated(12, "a watcher ends with its client", this.#facts());
  }

  async #run(changes: AsyncIterableIterator<Change>): Promise<void> {
    await this.#untilDone(() => this.#list());
    for (;;) {
      const next = changes.next();
      let isThere = false;
      void next.then(() => (isThere = true));
      await Promise.resolve();
      if (!isThere) this.#rest();
      const { value: change } = await next;
      this.#isIdle = false;
      if (change === undefined) break;
      if (this.#isSlow && !this.#deps.world.isCalm) await this.#pause(200);
      await this.#untilDone(() => (change.type === "changed" && this.#isListed ? this.#read(change.key, change.tid) : this.#list()));
    }
    this.#hasEnded = true;
  }

  /** Tries again until it succeeds or the client is closed. A snapshot of a replaced history may never be reached. */
  async #untilDone(act: () => Promise<void>): Promise<void> {
    for (let run = act; !this.#deps.clock.isStopped; run = () => this.#list()) {
      try {
        await run();
        return;
      } catch (error) {
        if (error instanceof ClosedError) return;
        this.#deps.world.unlessExpected(this.#deps.life.client, error);
        this.#isListed = false;
        await this.#pause(100);
      }
    }
  }

  async #list(): Promise<void> {
    this.#isListed = false;
    const { client } = this.#deps;
    const { value: rows, asOf } = await client.read(async (reader) => {
      const found: [string, string][] = [];
      for await (const [key, value] of reader.list(this.#prefix)) found.push([key, value as string]);
      return found;
    });
    this.#copies.clear();
    for (const [key, value] of rows) this.#copies.set(key, { value, asOf });
    this.#isListed = true;
  }

  async #read(key: string, tid: Tid): Promise<void> {
    const { client, world } = this.#deps;
    const { value, asOf } = await client.read((reader) => reader.get(key), { after: tid });
    const facts = { ...this.#facts(), key, tid, asOf, value };
    const { history } = world.checker;
    // If the history was replaced meanwhile, a reset will follow.
    const moment = history.named(asOf, client.position.digest);
    const earlier = [tid, this.#copies.get(key)?.asOf ?? tid].filter((each) => history.named(each, client.position.digest) !== undefined);
    if (earlier.some((each) => asOf < each))
      world.checker.violated(5, "a read after a change is not older than the change or an earlier read", facts);
    if (moment !== undefined && moment.state.get(key)?.value !== value)
      world.checker.violated(5, "a read after a change gives a committed value", facts);
    this.#copies.set(key, { value: value as string | undefined, asOf });
  }

  /** There is nothing left to handle: compares the copies with the storage. */
  #rest(): void {
    this.#isIdle = true;
    const { world, client, clock } = this.#deps;
    const moment = world.checker.history.at(client.position.digest);
    if (!this.#isListed || moment === undefined || clock.isStopped) return;
    const copies = [...this.#copies].flatMap(([key, { value }]) => (value === undefined ? [] : [[key, value] as const]));
    const held = JSON.stringify(copies.toSorted(([one], [other]) => (one < other ? -1 : 1)));
    const there = JSON.stringify(listAt(moment, this.#prefix));
    if (held !== there) {
      const facts = { ...this.#facts(), tid: moment.tid, held, there };
      world.checker.violated(5, "a mirror that has handled all changes equals the storage at its client's position", facts);
    }
  }

  #facts() {
    const { client, number } = this.#deps.life;
    return { client, life: number, prefix: this.#prefix };
  }

  async #pause(msMax: number): Promise<void> {
    this.#isPausing = true;
    await delay(this.#deps.clock, this.#deps.random.fraction() * msMax);
    this.#isPausing = false;
  }
}
