/**
 * Actors with addresses. Every process of a realm can send events to a registered actor and watch it; only the events
 * that the actor declared are accepted. Registration costs an actor nothing until a process watches it.
 *
 * Source: DESIGN, "Actors over the transport".
 */
import type { AnyActorRef } from "xstate";
import type { Message, Transport } from "../../transport/transport.js";
import {
  asDuration,
  type Random,
  type Clock,
  ClosedError,
  delay,
  type Duration,
  InvalidOptionError,
  limits,
  type Log,
  silentLog,
} from "../../core/index.js";
import { checkName, checkSeamsOverTransport } from "../../core/options.js";
import { type ExposedActor, OpenEndpoint } from "./exposed-actor.js";
import { type ActorView, actorView, listQuestion, listSubjects } from "../protocol/actor-messages.js";
import { PacedSending } from "./paced-sending.js";
import { type RemoteActor, RemoteReference } from "./remote-actor.js";
import { readOrDrop } from "../protocol/codec.js";
import { systemClock, systemRandom } from "../../core/index.js";

import { Recorder } from "../record/recorder.js";
import { RecordWatch } from "../record/record-watch.js";
import type { RecordEntry } from "../record/frames.js";
import type { Notes } from "../record/notes.js";

export type { Accepts } from "./accepted-events.js";
export type { ExposedActor } from "./exposed-actor.js";
export type { ActorView, RemoteEvent } from "../protocol/actor-messages.js";
export type { RemoteActor, RemoteOptions } from "./remote-actor.js";

/** The place of a system, and its sources of time, chance and messages. */
export interface ActorSystemOptions {
  /** Name of the realm: systems of one realm reach each other's actors. */
  readonly realm: string;
  /** The transport. It stays open when the system closes. */
  readonly transport: Transport;
  /** Source of time, for tests. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Source of random ids, for tests. Default: the system's random source. */
  readonly random?: Random | undefined;
  /** Any pino logger. Default: nothing is logged. */
  readonly log?: Log | undefined;
}

/** The options of a system, with defaults filled in. */
interface SystemDeps {
  readonly realm: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Registers actors of this process, and gives references to the actors of every process of its realm. */
export interface ActorSystem {
  /**
   * Gives `actor` the address `path`, names with `/` between, until the returned function is called. This neither
   * starts nor stops the actor. Throws InvalidOptionError if the path is invalid, or taken in this system.
   */
  register(path: string, actor: AnyActorRef, endpoint: ExposedActor): () => void;

  /** Reference to the actor at `path`, in any process of the realm. Throws InvalidOptionError. */
  remote(path: string): RemoteActor;

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

  /** Ends all registrations and watches of this system. Idempotent. */
  close(): void;
}

/** An actor system of `realm` on `transport`. Throws InvalidOptionError. */
export function createActorSystem(options: ActorSystemOptions): ActorSystem {
  checkSeamsOverTransport(options);
  checkName("realm", options.realm);
  const { realm, transport, clock = systemClock, random = systemRandom, log = silentLog } = options;
  return new TransportedSystem({ realm, transport, clock, random, log });
}

class TransportedSystem implements ActorSystem {
  readonly #deps: SystemDeps;
  readonly #endpoints = new Map<string, OpenEndpoint>();
  readonly #remotes = new Map<string, RemoteReference>();
  readonly #questions: { unsubscribe(): void };
  readonly #sending: PacedSending;
  readonly #recorder: Recorder;
  readonly #recordWatches = new Set<RecordWatch>();
  /** Answer subjects of questions that wait for the next list. */
  readonly #asked = new Set<string>();
  #isAnswering = false;
  #closed = false;

  constructor(deps: SystemDeps) {
    this.#deps = deps;
    this.#sending = new PacedSending(deps);
    this.#recorder = new Recorder({ ...deps, sending: this.#sending });
    this.#questions = deps.transport.subscribe(listSubjects(deps.realm).ask, (message) => this.#answerList(message));
  }

  register(path: string, actor: AnyActorRef, endpoint: ExposedActor): () => void {
    this.#checkOpen();
    if (this.#endpoints.has(path)) throw new InvalidOptionError({ option: "path", reason: `${path} is taken by another actor` });
    const open = new OpenEndpoint(path, actor, endpoint, this.#deps);
    this.#endpoints.set(path, open);
    this.#recorder.add(path, actor, endpoint.describe);
    return () => {
      open.close();
      if (this.#endpoints.get(path) !== open) return;
      this.#endpoints.delete(path);
      this.#recorder.remove(path);
    };
  }

  remote(path: string): RemoteActor {
    this.#checkOpen();
    const known = this.#remotes.get(path);
    if (known !== undefined) return known;
    const reference = new RemoteReference(path, this.#deps);
    this.#remotes.set(path, reference);
    return reference;
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
    return this.#recorder;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#questions.unsubscribe();
    this.#recorder.close();
    for (const watch of this.#recordWatches) watch.close();
    this.#recordWatches.clear();
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    for (const remote of this.#remotes.values()) remote.close();
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
        const paced = this.#sending.sent(this.#sendView(subjects, path, endpoint));
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
