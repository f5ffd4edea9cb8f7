/** Actors that a system creates, starts and supervises. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import {
  type Actor,
  type AnyActorLogic,
  type AnyActorRef,
  createActor,
  type EventFromLogic,
  type InputFrom,
  type Snapshot,
  type SnapshotFrom,
} from "xstate";
import { backOff, type RetryPace } from "../../core/backoff.js";
import {
  asDurationIfGiven,
  atLeastOneMs,
  type Clock,
  detachedClock,
  type Duration,
  InvalidOptionError,
  isWhole,
  limits,
  type Value,
  type Seams,
} from "../../core/index.js";
import { checkChoice, checkNames } from "../../core/options.js";
import { supervisionMachine } from "../../machines/system/supervision.js";
import type { AnySnapshot } from "./any-snapshot.js";
import type { ExposedActor, OpenEndpoint } from "./exposed-actor.js";
import type { ActorFailure, AfterFailure } from "./failures.js";
import { KeptState } from "./kept-state.js";
import type { EventOf } from "./remote-types.js";

/** When a failed actor is started again. */
export interface Restart {
  /**
   * `snapshot`: it goes on from its state before the failure; the event that made it fail is not processed again. Its
   * entry actions are not run again, its invoked actors are, and its timers have the time that was left.
   * `input`: it begins anew, with the same input.
   */
  readonly restart: "snapshot" | "input";
  /**
   * So many failures within `withinMs` are followed by a restart; one more is the last one, and escalates. Default:
   * `limits.actorFailuresMax`.
   */
  readonly failuresMax?: number | undefined;
  /** Default: `limits.actorFailuresWithinMs`. */
  readonly withinMs?: Duration | undefined;
  /** First pause, doubled with each failure within `withinMs`. Default: `limits.actorRestartDelayMsMin`. */
  readonly delayMsMin?: Duration | undefined;
  /** Longest pause. Default: `limits.actorRestartDelayMsMax`. */
  readonly delayMsMax?: Duration | undefined;
}

/** Types of the events that a logic takes from outside, each with a schema of its fields, or a list of types. */
export type AcceptsOf<Logic extends AnyActorLogic> =
  readonly EventOf<Logic>["type"][] | { readonly [Type in EventOf<Logic>["type"]]?: StandardSchemaV1 };

/** How an actor is created, supervised, and shown to other processes. */
export type SpawnOptions<Logic extends AnyActorLogic> = {
  /** As in `register`. Default: no events. */
  readonly accepts?: AcceptsOf<Logic> | undefined;
  /** As in `register`. */
  readonly describe?: ((snapshot: SnapshotFrom<Logic>) => Readonly<Record<string, Value>>) | undefined;
  /** As in `register`. */
  readonly onFailure?: ((error: unknown, failure: ActorFailure) => unknown) | undefined;
  /** The reaction to a failure. Default: `stop`, and the actor stays at its address as failed. */
  readonly supervise?: "stop" | Restart | undefined;
  /** State to begin with, from `getPersistedSnapshot`. Default: the initial state. */
  readonly snapshot?: Snapshot<unknown> | undefined;
} & (undefined extends InputFrom<Logic> ? { readonly input?: InputFrom<Logic> } : { readonly input: InputFrom<Logic> });

/** An actor that a system has spawned. It keeps its address when it is started again. */
export interface SpawnedActor<Logic extends AnyActorLogic = AnyActorLogic> {
  readonly path: string;
  /** The actor of this moment: another one after each restart. */
  readonly actor: Actor<Logic>;
  /** Sends an event to the actor; while it waits for a restart, after that. Throws ServerBusyError. */
  send(event: EventFromLogic<Logic>): void;
  getSnapshot(): SnapshotFrom<Logic>;
  /** Calls `listener` at each change, also after restarts. */
  subscribe(listener: (snapshot: SnapshotFrom<Logic>) => void): { unsubscribe(): void };
  /** Stops the actor, and ends its registration. Idempotent. */
  stop(): void;
}

const optionNames = new Set(["accepts", "describe", "onFailure", "supervise", "snapshot", "input"]);
const restartNames = new Set(["restart", "failuresMax", "withinMs", "delayMsMin", "delayMsMax"]);

/** Throws InvalidOptionError. */
function restartOf(supervise: "stop" | Restart | undefined) {
  if (supervise === undefined || supervise === "stop") return undefined;
  checkNames(supervise, restartNames, "supervise.");
  const { restart, failuresMax = limits.actorFailuresMax } = supervise;
  if (restart === undefined) throw new InvalidOptionError({ option: "supervise.restart", reason: "is missing: snapshot or input" });
  checkChoice("supervise.restart", restart, ["snapshot", "input"]);
  if (!isWhole(failuresMax)) throw new InvalidOptionError({ option: "supervise.failuresMax", reason: "is not a whole number from 0" });
  const ms = (name: "withinMs" | "delayMsMin" | "delayMsMax", preset: number) =>
    asDurationIfGiven(supervise[name], `supervise.${name}`, atLeastOneMs) ?? preset;
  const delayMsMin = ms("delayMsMin", limits.actorRestartDelayMsMin);
  const delayMsMax = ms("delayMsMax", Math.max(delayMsMin, limits.actorRestartDelayMsMax));
  if (delayMsMax < delayMsMin) throw new InvalidOptionError({ option: "supervise.delayMsMax", reason: "is less than delayMsMin" });
  const pace: RetryPace = { delayMsMin, delayMsMax };
  return { restart, input: { failuresMax, withinMs: ms("withinMs", limits.actorFailuresWithinMs) }, pace };
}

/** `createActor`, whose type cannot be resolved for a logic that is a type parameter. */
const create = createActor as unknown as <Logic extends AnyActorLogic>(
  logic: Logic,
  options: { readonly id: string; readonly clock: Clock; readonly input: unknown; readonly snapshot?: Snapshot<unknown> },
) => Actor<Logic>;

/** Creates an actor, and creates it again after failures. */
export class Spawned<Logic extends AnyActorLogic> implements SpawnedActor<Logic> {
  readonly path: string;
  readonly #logic: Logic;
  readonly #options: SpawnOptions<Logic>;
  readonly #deps: Pick<Seams, "clock" | "log">;
  readonly #restart: ReturnType<typeof restartOf>;
  readonly #kept: KeptState | undefined;
  readonly #supervision: Actor<typeof supervisionMachine> | undefined;
  readonly #endpoint: OpenEndpoint;
  readonly #closed: () => void;
  readonly #listeners = new Set<(snapshot: SnapshotFrom<Logic>) => void>();
  #actor: Actor<Logic>;
  #isStopped = false;

  /**
   * `open` registers the actor, before it is started; `closed` is called when it is stopped. Throws InvalidOptionError.
   */
  constructor(
    path: string,
    logic: Logic,
    options: SpawnOptions<Logic>,
    deps: Pick<Seams, "clock" | "log">,
    open: (actor: AnyActorRef, endpoint: ExposedActor, afterFailure: () => AfterFailure) => OpenEndpoint,
    closed: () => void,
  ) {
    checkNames(options, optionNames);
    this.path = path;
    this.#logic = logic;
    this.#options = options;
    this.#deps = { ...deps, clock: detachedClock(deps.clock) };
    this.#restart = restartOf(options.supervise);
    this.#closed = closed;
    if (this.#restart !== undefined) this.#supervision = this.#supervised(this.#restart);
    if (this.#restart?.restart === "snapshot") this.#kept = new KeptState(logic, deps.clock);
    this.#actor = this.#create(options.snapshot);
    const { accepts = [], describe, onFailure } = options;
    const endpoint = { accepts, describe: describe as ExposedActor["describe"], onFailure } as ExposedActor;
    this.#endpoint = open(this.#actor, endpoint, () => this.#afterFailure());
  }

  get actor(): Actor<Logic> {
    return this.#actor;
  }

  /** Starts the actor for the first time. */
  start(): void {
    this.#supervision?.start();
    this.#actor.start();
    this.#endpoint.resume();
  }

  send(event: EventFromLogic<Logic>): void {
    this.#endpoint.whenRunning(() => this.#actor.send(event));
  }

  getSnapshot(): SnapshotFrom<Logic> {
    return this.#actor.getSnapshot();
  }

  subscribe(listener: (snapshot: SnapshotFrom<Logic>) => void): { unsubscribe(): void } {
    const own = (snapshot: SnapshotFrom<Logic>) => listener(snapshot);
    this.#listeners.add(own);
    return { unsubscribe: () => void this.#listeners.delete(own) };
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#supervision?.getSnapshot().status === "active") this.#supervision.send({ type: "STOP" });
    this.#actor.stop();
    this.#listeners.clear();
    this.#closed();
  }

  #supervised({ input, pace }: NonNullable<ReturnType<typeof restartOf>>): Actor<typeof supervisionMachine> {
    const { log, clock } = this.#deps;
    const machine = supervisionMachine.provide({
      actions: {
        // The actor may fail at once, which is an event for the supervision: that must not be in a transition then.
        restart: () => queueMicrotask(() => this.#startAgain()),
        logUnexpected: ({ event }) => log.warn({ actor: this.path, event: event.type }, "an unexpected event of supervision"),
      },
      delays: { backOff: ({ context }) => backOff(context.failedAtMs.length, pace) },
    });
    return createActor(machine, { id: `${this.path} supervision`, input, clock });
  }

  /** The decision of the supervision, which gets the failure as an event. */
  #afterFailure(): AfterFailure {
    const { clock, log } = this.#deps;
    if (this.#restart === undefined || this.#supervision?.getSnapshot().status !== "active")
      return { next: "stop", restartInMs: undefined };
    const problem = this.#kept?.problem;
    if (problem !== undefined) log.error({ actor: this.path, err: problem }, "the state of an actor could not be kept for a restart");
    this.#supervision.send({ type: "FAILED", atMs: clock.monotonic(), canRestart: problem === undefined });
    const { context, status } = this.#supervision.getSnapshot();
    if (status !== "active") return { next: "escalate", restartInMs: undefined };
    return { next: "restart", restartInMs: backOff(context.failedAtMs.length, this.#restart.pace) };
  }

  #create(snapshot: Snapshot<unknown> | undefined): Actor<Logic> {
    const { input } = this.#options;
    const { clock } = this.#deps;
    const actor = create(this.#logic, { id: this.path, clock, input, ...(snapshot === undefined ? {} : { snapshot }) });
    this.#kept?.follow(actor);
    actor.subscribe({
      next: (next: SnapshotFrom<Logic>) => {
        for (const listener of this.#listeners) listener(next);
      },
      complete: () => this.#ended(),
      error: () => undefined,
    });
    return actor;
  }

  #ended(): void {
    if (this.#supervision?.getSnapshot().status === "active") this.#supervision.send({ type: "ENDED" });
  }

  #startAgain(): void {
    if (this.#isStopped) return;
    // Without a state there was none yet: the actor failed at its start.
    const kept = this.#kept?.snapshot ?? (this.#restart?.restart === "snapshot" ? this.#options.snapshot : undefined);
    const actor = this.#create(kept);
    this.#actor = actor;
    this.#kept?.restoring();
    this.#endpoint.replace(actor);
    this.#deps.log.info({ actor: this.path }, "a failed actor is started again");
    actor.start();
    if ((actor.getSnapshot() as AnySnapshot).status === "active") this.#kept?.setTimers(actor);
    this.#endpoint.resume();
  }
}
