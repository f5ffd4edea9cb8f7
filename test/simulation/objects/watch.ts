import type { ObjectClient } from "../../../actors/client/object-client.js";
import type { Random, Tid } from "../../../core/index.js";
import type { Life } from "./checker.js";
import type { Moment } from "../common/history.js";
import type { World } from "./world.js";
import { prefixes } from "./world.js";

/** The part of a client that a watcher uses. */
export type WatchedClient = Pick<ObjectClient, "position" | "watch">;

/** A watcher in a client: checks that it gets each change since it began to watch, once and in order, or a reset. */
export class Watch {
  readonly #world: Pick<World, "checker">;
  readonly #client: WatchedClient;
  readonly #life: Life;
  readonly #prefix: string;
  /**
   * The last moment that it got; it got all earlier ones too. Undefined after a reset: it then knows nothing of earlier
   * moments.
   */
  #last: Moment | undefined;
  /** Keys of the last moment that it got. */
  #got = new Set<string>();

  constructor(world: Pick<World, "checker">, client: WatchedClient, life: Life, random: Pick<Random, "fraction">) {
    this.#world = world;
    this.#client = client;
    this.#life = life;
    this.#prefix = ["", ...prefixes][Math.floor(random.fraction() * (prefixes.length + 1))] ?? "";
    this.#last = world.checker.history.at(client.position.digest);
    for (const key of this.#keysOf(this.#last)) this.#got.add(key);
    void this.#run();
  }

  /** Checks that it got all changes up to the client's position. */
  checkGotAll(): void {
    const now = this.#world.checker.history.at(this.#client.position.digest);
    if (this.#last === undefined || now === undefined) return;
    this.#checkBefore(now);
    if (now !== this.#last && this.#keysOf(now).length > 0) this.#missed(now.tid);
  }

  async #run(): Promise<void> {
    for await (const change of this.#client.watch(this.#prefix)) {
      if (change.type === "changed") this.#changed(change.key, change.tid);
      else this.#last = undefined;
    }
  }

  #changed(key: string, tid: Tid): void {
    const { checker } = this.#world;
    const facts = { client: this.#life.client, life: this.#life.number, prefix: this.#prefix, key, tid };
    const moment = checker.history.named(tid, this.#client.position.digest);
    if (moment === undefined) {
      checker.violated(5, "every change that a watcher gets was committed", facts);
      return;
    }
    this.#checkBefore(moment);
    if (moment !== this.#last) this.#got.clear();
    this.#last = moment;
    if (!this.#keysOf(moment).includes(key) || this.#got.has(key)) checker.violated(5, "a watcher gets each change once", facts);
    this.#got.add(key);
  }

  /** Checks that it got all commits before `moment`. */
  #checkBefore(moment: Moment): void {
    const last = this.#last;
    if (last === undefined || last === moment) return;
    const passed = this.#world.checker.history.between(last, moment);
    if (passed === undefined) this.#missed(moment.tid);
    else if (!this.#keysOf(last).every((key) => this.#got.has(key))) this.#missed(last.tid);
    else for (const each of passed.slice(1)) if (this.#keysOf(each).length > 0) this.#missed(each.tid);
  }

  #missed(tid: Tid): void {
    const facts = { client: this.#life.client, life: this.#life.number, prefix: this.#prefix, tid, last: this.#last?.tid };
    this.#world.checker.violated(5, "a watcher gets each change, or a reset", facts);
  }

  #keysOf(moment: Moment | undefined): readonly string[] {
    return [...(moment?.writes.keys() ?? [])].filter((key) => key.startsWith(this.#prefix));
  }
}
