/**
 * Actors with addresses. Every process of a realm can send events to a registered actor and watch it; only the events
 * that the actor declared are accepted. Registration costs an actor nothing until a process watches it.
 *
 * Source: DESIGN, "Actors over the transport".
 */
import { LRUCache } from "lru-cache";
import type { AnyActorLogic, AnyActorRef, InputFrom } from "xstate";
import type { Message, Transport } from "../../transport/transport.js";
import {
  asDuration,
  asDurationIfGiven,
  atLeastOneMs,
  ClosedError,
  delay,
  type Duration,
  InvalidOptionError,
  limits,
  seamsOf,
  type SeamOptions,
} from "../../core/index.js";
import { checkName, checkSeamsOverTransport } from "../../core/options.js";
import { type ExposedActor, OpenEndpoint } from "./exposed-actor.js";
import { Failures, type OnFailure } from "./failures.js";
import { type ActorView, actorView, listQuestion, listSubjects } from "../protocol/actor-messages.js";
import { PacedSending } from "./paced-sending.js";
import type { Pulse } from "./pulse.js";
import { fromRemote, type FromRemoteOptions, type RemoteLogic, type RemotePath } from "./from-remote.js";
import { RemoteReference } from "./remote-actor.js";
import type { RemoteActor } from "./remote-types.js";
import { RequestMemory } from "./request-memory.js";
import { Spawned, type SpawnedActor, type SpawnOptions } from "./spawned-actor.js";
import { readOrDrop } from "../protocol/codec.js";
import type { RealmSeams } from "../protocol/realm-seams.js";

import { Recorder } from "../record/recorder.js";
import { RecordWatch } from "../record/record-watch.js";
import type { RecordEntry } from "../record/frames.js";
import type { Notes } from "../record/notes.js";

export type { Accepts } from "./accepted-events.js";
export type { ExposedActor } from "./exposed-actor.js";
export type { FromRemoteOptions, RemoteLogic, RemotePath, RemoteSnapshot } from "./from-remote.js";
export type { ActorFailure, OnFailure } from "./failures.js";
export type { AcceptsOf, Restart, SpawnedActor, SpawnOptions } from "./spawned-actor.js";
export type { ActorView, RemoteEvent } from "../protocol/actor-messages.js";
export type { EventOf, RemoteActor, RemoteOptions, RemoteView, StateOf, TagOf, Until } from "./remote-types.js";

/** The place of a system, and its sources of time, chance and messages. */
export interface ActorSystemOptions extends SeamOptions {
  /** Name of the realm: systems of one realm reach each other's actors. */
  readonly realm: string;
  /** The transport. It stays open when the system closes. */
  readonly transport: Transport;
  /**
   * An actor of another process is lost when it has not answered for this time, while a request waits for it or a watch
   * lasts. It is asked three times as often. Default: `limits.heartbeatTimeoutMs`.
   */
  readonly heartbeatTimeoutMs?: Duration | undefined;
}

/** The options of a system, with defaults filled in. */
interface SystemDeps extends RealmSeams {
  /** Paces lists and snapshots of actors. */
  readonly sending: PacedSending;
  readonly recorder: Recorder;
  readonly heartbeatTimeoutMs: number;
  readonly memory: RequestMemory;
  readonly failures: Failures;
}

/** Registers actors of this process, and gives references to the actors of every process of its realm. */
export interface ActorSystem {
  /**
   * Gives `actor` the address `path`, names with `/` between, until the returned function is called. This neither
   * starts nor stops the actor. Throws InvalidOptionError if the path is invalid, or taken in this system.
   */
  register(path: string, actor: AnyActorRef, endpoint: ExposedActor): () => void;

  /**
   * Creates an actor of this logic, gives it the address `path` and starts it. After a failure it is started again, if
   * `supervise` says so. It keeps its address when it is done or has failed, until `stop` or the end of the system.
   * Throws InvalidOptionError as `register` does.
   */
  spawn<Logic extends AnyActorLogic>(
    path: string,
    logic: Logic,
    ...options: undefined extends InputFrom<Logic> ? [options?: SpawnOptions<Logic>] : [options: SpawnOptions<Logic>]
  ): SpawnedActor<Logic>;

  /**
   * A logic for `invoke` and `spawn` of a machine here: the child stands for the actor at `path`. The child is done
   * with the output of that actor. It fails with ActorFailedError when that actor has failed for good, with
   * ActorEndedError when it was stopped, with ActorLostError when it has not answered for the heartbeat time-out or
   * another actor has its address, and with NoActorError when there is none at the start. Events that the child gets
   * are sent to that actor; when one is refused, the child fails with that error. Its snapshot has the actor's
   * newest view. The end of the child does not end the actor.
   */
  fromRemote<Logic extends AnyActorLogic = AnyActorLogic, Input = unknown>(
    path: RemotePath<Input>,
    options?: FromRemoteOptions,
  ): RemoteLogic<Logic, Input>;

  /**
   * Calls `listener` at each failure of an actor of this system, until the returned function is called. If the listener
   * throws or rejects, that is logged.
   */
  onFailure(listener: OnFailure): () => void;

  /**
   * Reference to the actor at `path`, in any process of the realm, typed by its logic:
   * `remote<typeof orderMachine>("orders/4711")`. Throws InvalidOptionError.
   */
  remote<Logic extends AnyActorLogic = AnyActorLogic>(path: string): RemoteActor<Logic>;

  /**
   * The actors of the whole realm that answer within `waitMs`, by path. Rejects with InvalidOptionError,
   * DisconnectedError.
   */
  list(waitMs: Duration): Promise<readonly ActorView[]>;

  /**
   * Calls `listener` with the record of the whole realm until the returned function is called: frames of every
   * instance, and the instances that become silent. `applyEntry` makes a model of them. Instances record only while
   * they are watched.
   */
  watchRecord(listener: (entry: RecordEntry) => void): () => void;

  /** The steps of commits and invalidations that this instance records while it is watched. */
  readonly notes: Notes;

  /** Stops the actors that it has spawned, and ends all its registrations, requests and watches. Idempotent. */
  close(): void;
}

/** An actor system of `realm` on `transport`. Throws InvalidOptionError. */
export function createActorSystem(options: ActorSystemOptions): ActorSystem {
  checkSeamsOverTransport(options);
  checkName("realm", options.realm);
  const { realm, transport } = options;
  const heartbeatTimeoutMs = asDurationIfGiven(options.heartbeatTimeoutMs, "heartbeatTimeoutMs", atLeastOneMs) ?? limits.heartbeatTimeoutMs;
  const seams = { realm, transport, ...seamsOf(options) };
  const sending = new PacedSending(seams);
  return new TransportedSystem({
    ...seams,
    sending,
    recorder: new Recorder({ ...seams, sending }),
    heartbeatTimeoutMs,
    memory: new RequestMemory(),
    failures: new Failures(seams),
  });
}

type OpenArguments = [
  path: string,
  actor: AnyActorRef,
  endpoint: ExposedActor,
  afterFailure?: ConstructorParameters<typeof OpenEndpoint>[4] | undefined,
];

class TransportedSystem implements ActorSystem {
  readonly #deps: SystemDeps;
  readonly #endpoints = new Map<string, OpenEndpoint>();
  readonly #spawned = new Set<{ stop(): void }>();
  readonly #remotes = new LRUCache<string, RemoteReference>({ max: limits.actorReferencesMax });
  readonly #beating = new Set<Pulse>();
  readonly #questions: { unsubscribe(): void };
  readonly #recordWatches = new Set<RecordWatch>();
  /** Answer subjects of questions that wait for the next list. */
  readonly #asked = new Set<string>();
  #isAnswering = false;
  #closed = false;

  constructor(deps: SystemDeps) {
    this.#deps = deps;
    this.#questions = deps.transport.subscribe(listSubjects(deps.realm).ask, (message) => this.#answerList(message));
  }

  register(path: string, actor: AnyActorRef, endpoint: ExposedActor): () => void {
    const open = this.#open(path, actor, endpoint);
    return () => this.#close(path, open);
  }

  spawn<Logic extends AnyActorLogic>(path: string, logic: Logic, given?: SpawnOptions<Logic>): SpawnedActor<Logic> {
    this.#checkFree(path);
    const options = given ?? ({} as SpawnOptions<Logic>);
    let endpoint: OpenEndpoint | undefined;
    const spawned: Spawned<Logic> = new Spawned(
      path,
      logic,
      options,
      this.#deps,
      (actor, exposed, afterFailure) => (endpoint = this.#open(path, actor, exposed, afterFailure)),
      () => {
        this.#spawned.delete(spawned);
        if (endpoint !== undefined) this.#close(path, endpoint);
      },
    );
    this.#spawned.add(spawned);
    spawned.start();
    return spawned;
  }

  onFailure(listener: OnFailure): () => void {
    return this.#deps.failures.add(listener);
  }

  #reference(path: string): RemoteReference {
    this.#checkOpen();
    let reference = this.#remotes.get(path);
    if (reference === undefined) {
      reference = new RemoteReference(path, { ...this.#deps, beating: this.#beating, checkOpen: () => this.#checkOpen() });
      this.#remotes.set(path, reference);
    }
    return reference;
  }

  #open(...[path, actor, endpoint, afterFailure]: OpenArguments): OpenEndpoint {
    this.#checkFree(path);
    const open = new OpenEndpoint(path, actor, endpoint, this.#deps, afterFailure);
    this.#endpoints.set(path, open);
    return open;
  }

  #close(path: string, open: OpenEndpoint): void {
    open.close();
    if (this.#endpoints.get(path) !== open) return;
    this.#endpoints.delete(path);
    this.#deps.recorder.remove(path);
  }

  #checkFree(path: string): void {
    this.#checkOpen();
    if (this.#endpoints.has(path)) throw new InvalidOptionError({ option: "path", reason: `${path} is taken by another actor` });
  }

  remote<Logic extends AnyActorLogic = AnyActorLogic>(path: string): RemoteActor<Logic> {
    // The types of the actor's logic are those of the process that registered it.
    return this.#reference(path) as unknown as RemoteActor<Logic>;
  }

  fromRemote<Logic extends AnyActorLogic = AnyActorLogic, Input = unknown>(
    path: RemotePath<Input>,
    options: FromRemoteOptions = {},
  ): RemoteLogic<Logic, Input> {
    this.#checkOpen();
    const { clock, log } = this.#deps;
    const logic = fromRemote(path, options, { clock, log, reference: (address) => this.#reference(address) });
    return logic as unknown as RemoteLogic<Logic, Input>;
  }

  async list(waitMs: Duration): Promise<readonly ActorView[]> {
    this.#checkOpen();
    const delayMs = asDuration(waitMs, "waitMs", { unit: "ms" });
    const { transport, realm, clock, random } = this.#deps;
    const subjects = listSubjects(realm);
    const answerTo = random.id();
    const found = new Map<string, ActorView>();
    const answers = transport.subscribe(subjects.answer(answerTo), (message) => {
      const view = readOrDrop(actorView, message, this.#deps.log);
      if (view !== undefined && found.size < limits.actorsListedMax) found.set(`${view.path} ${view.registration}`, view);
    });
    try {
      await transport.flush();
      transport.publish(subjects.ask, listQuestion.write(answerTo));
      await delay(clock, delayMs);
    } finally {
      answers.unsubscribe();
    }
    return [...found.values()].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  watchRecord(listener: (entry: RecordEntry) => void): () => void {
    this.#checkOpen();
    const watch = new RecordWatch(this.#deps, listener);
    this.#recordWatches.add(watch);
    return () => {
      this.#recordWatches.delete(watch);
      watch.close();
    };
  }

  get notes(): Notes {
    return this.#deps.recorder;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#questions.unsubscribe();
    for (const spawned of this.#spawned) spawned.stop();
    this.#deps.recorder.close();
    for (const watch of this.#recordWatches) watch.close();
    this.#recordWatches.clear();
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    for (const pulse of this.#beating) pulse.close();
    this.#endpoints.clear();
    this.#remotes.clear();
    this.#asked.clear();
  }

  #answerList(message: Message): void {
    const { realm, log } = this.#deps;
    const answerTo = readOrDrop(listQuestion, message, log);
    if (answerTo === undefined) return;
    if (this.#asked.size >= limits.actorListQuestionsMax) {
      log.debug({ askedMax: limits.actorListQuestionsMax }, "a question for the list of actors was dropped");
      return;
    }
    this.#asked.add(listSubjects(realm).answer(answerTo));
    if (!this.#isAnswering) void this.#answerLists();
  }

  /**
   * Questions that arrive while a list is in progress get the next one, together. Each actor is read once for all of
   * them.
   */
  async #answerLists(): Promise<void> {
    this.#isAnswering = true;
    while (this.#asked.size > 0) {
      const subjects = [...this.#asked];
      this.#asked.clear();
      for (const [path, endpoint] of this.#endpoints) {
        const paced = this.#deps.sending.sent(this.#sendView(subjects, path, endpoint));
        if (paced !== undefined) await paced;
      }
    }
    this.#isAnswering = false;
  }

  /** Publishes an actor's view. Returns the number of bytes that were sent. */
  #sendView(subjects: readonly string[], path: string, endpoint: OpenEndpoint): number {
    const { transport, log } = this.#deps;
    let bytes = 0;
    try {
      const view = endpoint.view();
      for (const subject of subjects) {
        transport.publish(subject, view);
        bytes += view.length;
      }
    } catch (error) {
      log.debug({ actor: path, err: error }, "could not be listed");
    }
    return bytes;
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError({ what: "actor system" });
  }
}
