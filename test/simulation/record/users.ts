import { type AnyActorRef, createActor, fromPromise } from "xstate";
import type { SpawnedActor } from "../../../actors/system/actor-system.js";
import { type Clock, delay, limits, type Log, type Random } from "../../../core/index.js";
import { oneOf } from "../common/play-faults.js";
import type { RecordedProcess } from "./recorded-process.js";
import { childrenOf } from "./truth.js";
import { meterLogic, plantMachine, plantOn, type PlantEvent, showPlant, UserFailure } from "./users-machines.js";

/** The owner of the actors of one process of a run. */
export interface Tenant {
  /** Time between two things that it does, about, in milliseconds. */
  readonly pauseMs: number;
  /** Whether the facts that its actors describe stay the same while nothing is done. */
  readonly hasSteadyFacts: boolean;
  /** Does one thing. */
  act(): void;
  /** So much happens in a moment that the record cannot show it all. */
  burst(): void;
  /** The process was killed. */
  killed(): void;
  /** The process ends in an orderly way. */
  close(): Promise<void>;
}

export interface Place {
  readonly name: string;
  readonly process: RecordedProcess;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Root {
  readonly path: string;
  readonly actor: AnyActorRef;
  readonly hide: () => void;
}

/** Registered actors of a user, in the ways in which users register them. */
const rootsMax = 5;
const spawnedMax = 2;
/** Simple actors of a process that has many: more than fit into one part of a snapshot. */
const crowdSize = 150;

/** A user with machines of its own. */
export class Users implements Tenant {
  readonly pauseMs = 150;
  readonly hasSteadyFacts = true;
  readonly #place: Place;
  readonly #plant: typeof plantMachine;
  readonly #roots: Root[] = [];
  readonly #spawned: SpawnedActor<typeof plantMachine>[] = [];
  readonly #meter = createActor(meterLogic);
  #number = 0;
  #notes = 0;
  #acts = 0;
  /** The number of acts changes without an event of the meter. */
  readonly #showMeter = (snapshot: unknown): Record<string, number> => ({
    count: (snapshot as { readonly context: number }).context,
    acts: this.#acts,
  });

  constructor(place: Place, { hasCrowd }: { readonly hasCrowd: boolean }) {
    this.#place = place;
    this.#plant = plantOn(place.clock);
    const { process, name } = place;
    process.act(() => {
      this.#meter.start();
      const { system } = process;
      if (place.random.fraction() < 0.8) system.register(`${name}/meter`, this.#meter, { accepts: [], describe: this.#showMeter });
      if (!hasCrowd) return;
      for (let index = 0; index < crowdSize; index++)
        system.register(`${name}/crowd/${index}`, createActor(meterLogic).start(), { accepts: [] });
    });
  }

  act(): void {
    this.#place.process.act(() => {
      this.#act();
    });
  }

  burst(): void {
    const { random, process } = this.#place;
    const times = limits.recordEventsPerSecondMax * (1 + random.fraction() / 2);
    process.act(() => {
      for (let time = 0; time < times; time++) {
        this.#meter.send({ type: "COUNT" });
        // Also while so much happens that some of it is left out, actors change, come and go.
        if (time % 20 === 0) this.#act();
        if (time % 60 === 0) this.#note();
      }
    });
  }

  killed(): void {
    // Its actors are gone with it.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #act(): void {
    this.#acts++;
    const { random } = this.#place;
    const dice = random.fraction();
    if (dice < 0.55) this.#send();
    else if (dice < 0.67) this.#sendToChild();
    else if (dice < 0.75) this.#register();
    else if (dice < 0.79) this.#registerChild();
    else if (dice < 0.81) this.#registerAgain();
    else if (dice < 0.86) this.#unregister();
    else if (dice < 0.9) this.#spawn();
    else if (dice < 0.92) this.#spawned.splice(0, 1)[0]?.stop();
    else if (dice < 0.94) this.#stopRoot();
    else if (dice < 0.97) this.#meter.send({ type: "COUNT" });
    else this.#note();
  }

  #note(): void {
    this.#place.process.note(this.#notes++);
  }

  #send(): void {
    const { random } = this.#place;
    const event = this.#event();
    const some = [...this.#roots.map(({ actor }) => actor), ...this.#spawned.map(({ actor }) => actor)];
    if (some.length > 0) send(oneOf(some, random), event);
  }

  #event(): PlantEvent {
    const { random } = this.#place;
    const dice = random.fraction();
    if (dice < 0.15) return { type: "MAKE", ms: 10 + Math.floor(random.fraction() * 150), fails: random.fraction() < 0.3 };
    if (dice < 0.17) return { type: "BREAK" };
    if (dice < 0.19) return { type: "BREAK_LAMP" };
    if (dice < 0.22) return { type: oneOf(["SEAL", "CLOSE"], random) };
    return {
      type: oneOf(
        ["CANCEL", "LIGHT", "LIGHT", "TURN", "FLASH", "END_LAMP", "DARK", "HIRE", "HIRE", "FIRE", "RELAY", "RELAY", "DO_NOTHING"],
        random,
      ),
    };
  }

  #sendToChild(): void {
    const { random } = this.#place;
    const all = this.#descendants();
    if (all.length === 0) return;
    const type = oneOf(["FLASH", "FLASH", "SWAP", "SWAP", "END", "BREAK"], random);
    send(oneOf(all, random), { type });
  }

  #register(): void {
    if (this.#roots.length >= rootsMax) return;
    const { clock, random } = this.#place;
    const isFromPromise = random.fraction() < 0.2;
    const actor = isFromPromise ? createActor(this.#errand(), { clock }) : createActor(this.#plant, { clock });
    const isEarly = random.fraction() < 0.3;
    if (!isEarly) actor.start();
    this.#add(actor, !isFromPromise && random.fraction() < 0.7);
    if (isEarly) actor.start();
  }

  #errand() {
    const { clock, random } = this.#place;
    const ms = random.fraction() * 800;
    const fails = random.fraction() < 0.4;
    return fromPromise(async () => {
      await delay(clock, ms);
      if (fails) throw new UserFailure("the errand failed");
    });
  }

  #add(actor: AnyActorRef, isDescribed: boolean): void {
    const { process, name } = this.#place;
    const path = `${name}/roots/${++this.#number}`;
    const hide = process.system.register(path, actor, { accepts: [], describe: isDescribed ? showPlant : undefined });
    this.#roots.push({ path, actor, hide });
  }

  /** A child gets an address of its own. */
  #registerChild(): void {
    if (this.#roots.length >= rootsMax) return;
    const all = this.#descendants();
    if (all.length > 0) this.#add(oneOf(all, this.#place.random), false);
  }

  /** An actor gets another address. */
  #registerAgain(): void {
    if (this.#roots.length === 0 || this.#roots.length >= rootsMax) return;
    this.#add(oneOf(this.#roots, this.#place.random).actor, false);
  }

  #unregister(): void {
    const { random } = this.#place;
    if (this.#roots.length === 0) return;
    const [root] = this.#roots.splice(Math.floor(random.fraction() * this.#roots.length), 1);
    if (root === undefined) return;
    const isLast = !this.#roots.some(({ actor }) => actor === root.actor);
    const isRoot = (root.actor as { readonly _parent?: unknown })["_parent"] === undefined;
    const isMoved = isRoot && random.fraction() < 0.4;
    const stop = () => {
      if (isLast && isRoot && !isMoved) (root.actor as { stop?: () => void }).stop?.();
    };
    const isStoppedFirst = random.fraction() < 0.5;
    if (isStoppedFirst) stop();
    root.hide();
    if (!isStoppedFirst) stop();
    if (isMoved) this.#add(root.actor, false);
  }

  #spawn(): void {
    if (this.#spawned.length >= spawnedMax) return;
    const { process, name, random } = this.#place;
    const restart = oneOf(["snapshot", "input"] as const, random);
    const supervise = random.fraction() < 0.2 ? "stop" : { restart, failuresMax: 3, delayMsMin: "50ms", delayMsMax: "400ms" };
    const path = `${name}/spawned/${++this.#number}`;
    this.#spawned.push(process.spawn(path, this.#plant, { accepts: [], describe: showPlant, supervise }));
  }

  /** A registered actor is stopped and stays registered. */
  #stopRoot(): void {
    const roots = this.#roots.filter(({ actor }) => (actor as { readonly _parent?: unknown })["_parent"] === undefined);
    if (roots.length > 0) (oneOf(roots, this.#place.random).actor as { stop?: () => void }).stop?.();
  }

  #descendants(): readonly AnyActorRef[] {
    const all: AnyActorRef[] = [];
    const visit = (actor: AnyActorRef): void => {
      for (const child of childrenOf(actor)) {
        all.push(child);
        visit(child);
      }
    };
    for (const { actor } of this.#place.process.roots.values()) visit(actor);
    return all;
  }
}

/** An actor that has ended ignores it. */
function send(actor: AnyActorRef, event: { readonly type: string }): void {
  const { status } = actor.getSnapshot() as { readonly status: string };
  if (status === "active") actor.send(event);
}
