import {
  AnotherWriterError,
  CapturedSubjectsError,
  ClosedError,
  delay,
  DisconnectedError,
  limits,
  TimeoutError,
} from "../../core/index.js";
import type { Broadcast, ServerRole, Writer } from "./messages.js";
import { storageSubjects } from "./messages.js";
import * as wire from "./codec.js";
import type { RealmSeams } from "./realm-seams.js";
import { isProven } from "./writer-proof.js";

export interface WriterDeps extends RealmSeams {
  readonly storage: string;
  readonly instance: string;
  readonly startedAt: number;
}

/** Options of the check for another writer. */
export interface WriterCheck {
  /** Whether to begin although a process that listens as a writer does not answer. */
  readonly takeOver: boolean;
  readonly signal: AbortSignal | undefined;
}

type Heartbeat = Extract<Broadcast, { readonly type: "heartbeat" }>;

/**
 * The result of a question on a subject of writers. `noListener`: the broker says that no process subscribes to it.
 * `silence`: no answer came. That proves nothing, because a writer may be disconnected or stopped for a moment.
 * `unproven`: the answer does not prove that a writer sent it.
 */
type Shown =
  | { readonly type: "writer"; readonly writer: Writer }
  | { readonly type: "noListener" }
  | { readonly type: "linkless" | "silence" | "unproven"; readonly why: unknown };

/**
 * Resolves when this storage has no writer: the broker says that no process listens. Waits while there is no link, and
 * while a process listens but does not answer. Rejects with AnotherWriterError, NotAuthorizedError,
 * CapturedSubjectsError, ClosedError or the signal's reason. A safeguard against mistakes, not a lease.
 */
export async function checkNoWriter(deps: WriterDeps, { takeOver, signal }: WriterCheck): Promise<void> {
  const { realm, storage, clock, log } = deps;
  const { writer: subject } = storageSubjects(realm, storage);
  let isLogged = false;
  for (;;) {
    signal?.throwIfAborted();
    const shown = await askForWriter(deps, subject, signal);
    if (shown.type === "noListener") return;
    if (shown.type === "writer") throw new AnotherWriterError({ storage, instance: shown.writer.instance });
    // Then it cannot be known whether a writer is there, and no client could reach this one.
    if (shown.type === "unproven" && shown.why instanceof CapturedSubjectsError) throw shown.why;
    if (shown.type !== "linkless") {
      if (takeOver) {
        log.fatal({ err: shown.why, storage }, "a storage is taken over: commits of another writer that still runs are lost");
        return;
      }
      if (!isLogged)
        log.warn({ err: shown.why, storage }, "a process listens as a writer of this storage, and does not answer as one: waiting");
      isLogged = true;
    }
    await delay(clock, limits.writerCheckPauseMs, signal);
  }
}

/**
 * Listens to the heartbeats of other servers while this server writes. Of two writers the later one stops, unless it
 * took over from the other. A heartbeat alone does not stop a writer: its sender must first answer a new question on
 * its own subject.
 */
export class WriterWatch {
  readonly #deps: WriterDeps;
  readonly #role: ServerRole;
  readonly #onAnother: (error: AnotherWriterError) => void;
  readonly #asking = new Set<string>();
  readonly #stopping = new AbortController();

  constructor(deps: WriterDeps, role: ServerRole, onAnother: (error: AnotherWriterError) => void) {
    this.#deps = deps;
    this.#role = role;
    this.#onAnother = onAnother;
  }

  heard(broadcast: Broadcast): void {
    const { instance, log, storage } = this.#deps;
    if (broadcast.type !== "heartbeat" || broadcast.role === "reader" || broadcast.instance === instance) return;
    if (!this.#givesWayTo(broadcast) || this.#asking.has(broadcast.instance) || this.#stopping.signal.aborted) return;
    if (this.#asking.size >= limits.writersAskedMax) {
      log.warn({ storage, other: broadcast.instance }, "too many writers were heard: one is not asked");
      return;
    }
    void this.#ask(broadcast);
  }

  stop(): void {
    this.#stopping.abort(new ClosedError({ what: "storage" }));
  }

  #givesWayTo(other: Pick<Writer, "instance" | "startedAt" | "role">): boolean {
    const { instance, startedAt } = this.#deps;
    if (other.role !== this.#role) return other.role === "takeover";
    return other.startedAt < startedAt || (other.startedAt === startedAt && other.instance < instance);
  }

  async #ask(heard: Heartbeat): Promise<void> {
    const { realm, storage, clock, log } = this.#deps;
    const other = heard.instance;
    const subject = storageSubjects(realm, storage).operation(other, "writer");
    const { signal } = this.#stopping;
    let isLogged = false;
    this.#asking.add(other);
    try {
      for (;;) {
        const shown = await askForWriter(this.#deps, subject, signal);
        signal.throwIfAborted();
        if (shown.type === "noListener") return;
        if (shown.type === "writer") {
          if (isSame(shown.writer, heard)) this.#onAnother(new AnotherWriterError({ storage, instance: other }));
          else log.warn({ storage, other }, "a writer that was heard answers as another one");
          return;
        }
        if (shown.type === "unproven") {
          log.warn({ err: shown.why, storage, other }, "a writer that was heard does not answer as one");
          return;
        }
        if (shown.type === "silence" && !isLogged)
          log.warn({ storage, other }, "a writer that was heard does not answer: it is asked again");
        isLogged ||= shown.type === "silence";
        await delay(clock, limits.writerCheckPauseMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, storage, other }, "a writer that was heard cannot be asked");
    } finally {
      this.#asking.delete(other);
    }
  }
}

/** Whether the answer is from the process whose heartbeat arrived, with a position that has not gone back since. */
function isSame(writer: Writer, heard: Heartbeat): boolean {
  const { instance, startedAt, role, position } = heard;
  return writer.instance === instance && writer.startedAt === startedAt && writer.role === role && writer.position.tid >= position.tid;
}

/** Asks on `subject` for a writer of the storage. Rejects with NotAuthorizedError, ClosedError, the signal's reason. */
export async function askForWriter(
  { realm, storage, transport, random }: Pick<WriterDeps, "realm" | "storage" | "transport" | "random">,
  subject: string,
  signal?: AbortSignal,
): Promise<Shown> {
  const nonce = random.id();
  let answer: Uint8Array;
  try {
    const options = { timeoutMs: limits.writerCheckTimeoutMs, signal };
    answer = await transport.request(subject, wire.challenge.write({ nonce }), options);
  } catch (why) {
    if (why instanceof TimeoutError) return { type: "silence", why };
    if (why instanceof DisconnectedError) return why.isUnheard ? { type: "noListener" } : { type: "linkless", why };
    throw why;
  }
  try {
    const writer = wire.readAnswer(wire.writer, answer);
    if (isProven(realm, storage, nonce, writer)) return { type: "writer", writer };
    return { type: "unproven", why: undefined };
  } catch (why) {
    return { type: "unproven", why };
  }
}
