import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import type { RecordEntry } from "../../../actors/record/frames.js";
import { applyEntry, emptyModel, type RecordModel } from "../../../actors/record/model.js";
import type { Random } from "../../../core/index.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { flat } from "./record-checker.js";
import { RecordedLife } from "./recorded-life.js";
import { realm, type RecordWorld } from "./record-world.js";

/** Chance that the model is kept after an entry, to compare it with a recording that is cut there; and how often. */
const markChance = 0.01;
const marksMax = 3;

interface Life {
  readonly system: ActorSystem;
  readonly clock: NodeClock;
  readonly end: NetworkEnd;
  readonly stop: () => void;
  readonly model: RecordModel;
  readonly entries: RecordEntry[];
  readonly marks: Map<number, string>;
}

/** A process that watches the record, again and again. */
export class SimulatedWatcher {
  readonly name: string;
  readonly #world: RecordWorld;
  readonly #random: Random;
  #life: Life | undefined;

  constructor(world: RecordWorld, name: string) {
    this.name = name;
    this.#world = world;
    this.#random = world.random();
  }

  get model(): RecordModel | undefined {
    return this.#life?.model;
  }

  /** The recording of its life. */
  get entries(): readonly RecordEntry[] {
    return this.#life?.entries ?? [];
  }

  get end(): NetworkEnd | undefined {
    return this.#life?.end;
  }

  get clock(): NodeClock | undefined {
    return this.#life?.clock;
  }

  open(): void {
    if (this.#life !== undefined) return;
    const world = this.#world;
    world.note(this.name, "watches");
    const log = world.log(this.name);
    const clock = world.clock.node((this.#random.fraction() - 0.5) * 10_000);
    const end = world.network.connect(this.name, { clock, log, awake: clock.awake });
    const system = createActorSystem({ realm, transport: end, clock, random: world.random(), log });
    const model = emptyModel();
    const entries: RecordEntry[] = [];
    const marks = new Map<number, string>();
    const stop = system.watchRecord((entry) => {
      entries.push(entry);
      applyEntry(model, entry);
      if (entry.type === "frame") world.checker.applied(this.name, entry.frame, model.instances.get(entry.frame.instance));
      if (marks.size < marksMax && this.#random.fraction() < markChance) marks.set(entries.length - 1, flat(model));
    });
    this.#life = { system, clock, end, stop, model, entries, marks };
  }

  /** Leaves in an orderly way. */
  leave(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#world.note(this.name, "leaves");
    if (this.#random.fraction() < 0.5) life.stop();
    life.system.close();
    void life.end.close();
    this.#end(life);
  }

  /** Ends as kill -9 ends it. */
  kill(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#world.note(this.name, "killed");
    life.end.kill();
    this.#end(life);
  }

  /** Compares its model with the replay of its recording, whole, cut off, and from a later entry on. */
  checkReplay(): void {
    if (this.#life === undefined) return;
    const { model, entries, marks } = this.#life;
    const cut = Math.floor(this.#random.fraction() * entries.length);
    // Some are written into a file, too.
    if (this.#random.fraction() < 0.25) this.#world.recorded.push(new RecordedLife(this.name, [...entries], flat(model)));
    this.#world.checker.replayed(this.name, model, entries, { marks, cut });
  }

  #end(life: Life): void {
    this.checkReplay();
    this.#life = undefined;
    life.clock.stop();
  }
}
