/** References to actors, in another process or in this one. */
import {
  asDurationIfGiven,
  assert,
  checkMethods,
  checkNames,
  type Duration,
  endlessMs,
  InvalidEventError,
  InvalidOptionError,
  limits,
  type ZooidError,
} from "../../core/index.js";
import {
  type ActorRequest,
  actorRequest,
  actorSubjects,
  actorView,
  type ActorView,
  type AwaitedState,
  type KnownReceiver,
  machineDescription,
  type RemoteEvent,
  takenAnswer,
  type TakenAnswer,
} from "../protocol/actor-messages.js";
import { checkedDescription, isRecord, type MachineDescription } from "../drawing/description.js";
import { readAnswer } from "../protocol/codec.js";
import type { RealmSeams } from "../protocol/realm-seams.js";
import { Pulse } from "./pulse.js";
import { call } from "./remote-call.js";
import type { RemoteActor, RemoteOptions, Until } from "./remote-types.js";
import { Watch } from "./watch.js";

interface ReferenceDeps extends RealmSeams {
  readonly heartbeatTimeoutMs: number;
  readonly beating: Set<Pulse>;
  /** Throws ClosedError when the system is closed. */
  readonly checkOpen: () => void;
}

/** A receiver of which nothing is known. */
const unknownReceiver: KnownReceiver = { registration: "", taken: 0 };

/** Sends requests to one address. */
export class RemoteReference implements RemoteActor {
  readonly path: string;
  readonly #deps: ReferenceDeps;
  readonly #subjects: { readonly requests: string; readonly views: string };
  readonly #pulse: Pulse;
  /** Ids of requests are this id and a number. */
  readonly #id: string;
  #requests = 0;
  #known = unknownReceiver;
  /** Whether the actor has answered this reference before. */
  #hasAnswered = false;

  constructor(path: string, deps: ReferenceDeps) {
    this.path = path;
    this.#deps = deps;
    this.#id = deps.random.id();
    this.#subjects = actorSubjects(deps.realm, path);
    this.#pulse = new Pulse({ ...deps, requests: this.#subjects.requests });
  }

  async send(event: RemoteEvent, options: RemoteOptions = {}): Promise<void> {
    checkOptions(options, sendOptions);
    await this.#take(this.#checked(event), undefined, options);
  }

  async ask(event: RemoteEvent, options: RemoteOptions & { readonly until: Until }): Promise<ActorView> {
    const awaited = checkedUntil(options?.until);
    checkOptions(options, askOptions);
    return this.#reached(await this.#take(this.#checked(event), awaited, options));
  }

  async waitFor(options: RemoteOptions & Until): Promise<ActorView> {
    const awaited = checkedUntil(options);
    checkOptions(options, waitOptions);
    return this.#reached(await this.#take(undefined, awaited, options));
  }

  async snapshot(options: RemoteOptions = {}): Promise<ActorView> {
    checkOptions(options, sendOptions);
    return readAnswer(actorView, await this.#request({ type: "view" }, options));
  }

  async machine(options: RemoteOptions = {}): Promise<MachineDescription | undefined> {
    checkOptions(options, sendOptions);
    return checkedDescription(readAnswer(machineDescription, await this.#request({ type: "machine" }, options)));
  }

  subscribe(listener: (view: ActorView) => void, onLost: (error: ZooidError) => void = () => undefined): () => void {
    return this.watch(listener, onLost, { isPatient: false });
  }

  /** As `subscribe`. A patient watch reports a loss only after silence for the heartbeat time-out. */
  watch(
    listener: (view: ActorView) => void,
    onLost: (error: ZooidError) => void,
    { isPatient }: { readonly isPatient: boolean },
  ): () => void {
    this.#deps.checkOpen();
    const renew = async () => readAnswer(actorView, await this.#request({ type: "watch" }, {}));
    const { path } = this;
    const { views } = this.#subjects;
    const watch = new Watch({ ...this.#deps, views, path, pulse: this.#pulse, renew, listener, onLost, isPatient });
    return () => watch.close();
  }

  async #take(event: RemoteEvent | undefined, until: AwaitedState | undefined, options: RemoteOptions): Promise<TakenAnswer> {
    const timeoutMs = timeoutOf(options);
    this.#requests += 1;
    const request = `${this.#id}${this.#requests.toString(36)}`;
    const known = this.#known;
    const renewedWithinMs = Math.ceil(Math.min(timeoutMs, limits.actorRequestRenewalMs));
    const write = (isRepeat: boolean) => actorRequest.write({ type: "take", request, isRepeat, known, event, until, renewedWithinMs });
    const answer = readAnswer(takenAnswer, await this.#call(write, { ...options, timeoutMs }, { request, hasEvent: event !== undefined }));
    this.#known = answer;
    return answer;
  }

  /** A program without types may give anything. Throws InvalidEventError. */
  #checked(event: RemoteEvent): RemoteEvent {
    const given: unknown = event;
    if (isRecord(given) && typeof given["type"] === "string") return event;
    const shown = typeof given === "string" ? JSON.stringify(given.slice(0, limits.nameBytesMax)) : typeof given;
    throw new InvalidEventError({ actor: this.path, event: shown, reason: "it is no object with a type that is a text" });
  }

  #reached({ view }: TakenAnswer): ActorView {
    assert(view !== undefined, "the answer to a request for a state has a view");
    return actorView.read(view);
  }

  #request(request: Exclude<ActorRequest, { readonly type: "take" }>, options: RemoteOptions): Promise<Uint8Array> {
    return this.#call(() => actorRequest.write(request), options, { request: undefined, hasEvent: false });
  }

  async #call(
    write: (isRepeat: boolean) => Uint8Array,
    options: RemoteOptions,
    { request, hasEvent }: { readonly request: string | undefined; readonly hasEvent: boolean },
  ): Promise<Uint8Array> {
    this.#deps.checkOpen();
    const { transport, realm, clock } = this.#deps;
    const { signal } = options;
    const timeoutMs = timeoutOf(options);
    const deps = { path: this.path, realm, requests: this.#subjects.requests, transport, clock, pulse: this.#pulse };
    const answer = await call(deps, { request, write, hasEvent, hasAnswered: this.#hasAnswered, timeoutMs, signal });
    this.#hasAnswered = true;
    return answer;
  }
}

const sendOptions = new Set(["timeoutMs", "signal"]);
const waitOptions = new Set([...sendOptions, "state", "tag"]);
const askOptions = new Set([...sendOptions, "until"]);

/** A program without types may give anything. Throws InvalidOptionError. */
function checkOptions(options: RemoteOptions, names: ReadonlySet<string>): void {
  checkNames(options, names);
  checkMethods("signal", options.signal, ["addEventListener", "removeEventListener"]);
}

function timeoutOf({ timeoutMs }: { readonly timeoutMs?: Duration | undefined }): number {
  return asDurationIfGiven(timeoutMs, "timeoutMs", endlessMs) ?? limits.requestTimeoutMs;
}

function checkedUntil(until: Until | undefined): AwaitedState {
  const { state, tag } = until ?? {};
  if ((state === undefined) === (tag === undefined))
    throw new InvalidOptionError({ option: "until", reason: "is neither a state nor a tag" });
  return tag === undefined ? { state } : { tag };
}
