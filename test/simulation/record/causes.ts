/** The event that caused each transition of the actors of one process, from the actors and from the frames. */
import type { AnyActorRef, EventObject } from "xstate";
import type { RecordFrame } from "../../../actors/record/frames.js";
import { eventName } from "../../../actors/record/followed-actor.js";
import { applyEntry, emptyModel, type RecordModel } from "../../../actors/record/model.js";
import { nameOf, parentOf, type Registered } from "./truth.js";

interface Sent {
  readonly event: EventObject;
  readonly source: AnyActorRef | undefined;
  readonly from: string | undefined;
}

interface Snapshot {
  readonly status: string;
  readonly value?: unknown;
}

/** Collects both, and compares them at each frame that is sent while the actors are at rest. */
export class Causes {
  readonly #roots: ReadonlyMap<string, Registered>;
  readonly #sent = new WeakMap<AnyActorRef, Sent[]>();
  #model: RecordModel = emptyModel();
  #expected: string[] = [];
  #found: string[] = [];
  /** Whether the transitions since the last comparison are not all in the record. */
  #isIncomplete = true;

  constructor(roots: ReadonlyMap<string, Registered>) {
    this.#roots = roots;
  }

  /** Recording begins. */
  begin(): void {
    this.#model = emptyModel();
    this.#forget(true);
  }

  sent(actor: AnyActorRef, source: AnyActorRef | undefined, event: EventObject): void {
    let all = this.#sent.get(actor);
    if (all === undefined) this.#sent.set(actor, (all = []));
    all.push({ event, source, from: source === undefined ? "" : this.#pathOf(source) });
  }

  handled(actor: AnyActorRef, event: EventObject, handle: () => void): void {
    const sent = this.#sent.get(actor)?.splice(0, Infinity) ?? [];
    const index = sent.findIndex((each) => each.event === event);
    this.#sent.set(actor, sent.slice(index + 1));
    const path = this.#pathOf(actor);
    const before = stateOf(actor);
    handle();
    const after = stateOf(actor);
    const { status } = actor.getSnapshot() as Snapshot;
    if (path === undefined || before === after || status === "error") return;
    const { source, from } = sent[index] ?? {};
    this.#expected.push(`${path} ${eventName(event.type, source)} of ${from ?? "?"}: ${before} -> ${after}`);
  }

  /** A frame is sent. Returns what differs, once no further part of it can come. */
  frame(frame: RecordFrame, isAtRest: boolean): Readonly<Record<"expected" | "found", readonly string[]>> | undefined {
    const { instances } = this.#model;
    const wasLive = instances.get(frame.instance)?.state === "live";
    for (const happening of applyEntry(this.#model, { type: "frame", at: frame.at, frame })) {
      if (happening.type === "left" || happening.type === "paused") this.#isIncomplete = true;
      if (happening.type !== "transition" || happening.event === "xstate.init") continue;
      const [before, after] = [happening.before, happening.after].map((value) => JSON.stringify(value));
      const { path, event, from } = happening;
      if (before !== after) this.#found.push(`${path} ${event ?? "?"} of ${from ?? "?"}: ${before} -> ${after}`);
    }
    if (!wasLive) this.#isIncomplete = true;
    if (!isAtRest) return undefined;
    const [expected, found] = [this.#expected, this.#found];
    const isSame = expected.length === found.length && expected.every((line) => found.includes(line));
    if (this.#isIncomplete || isSame) {
      this.#forget(false);
      return undefined;
    }
    return { expected: expected.filter((line) => !found.includes(line)), found: found.filter((line) => !expected.includes(line)) };
  }

  #forget(isIncomplete: boolean): void {
    this.#expected = [];
    this.#found = [];
    this.#isIncomplete = isIncomplete;
  }

  #pathOf(actor: AnyActorRef): string | undefined {
    for (const [path, root] of this.#roots) if (root.actor === actor) return path;
    const parent = parentOf(actor);
    const above = parent === undefined ? undefined : this.#pathOf(parent);
    return above === undefined ? undefined : `${above}#${nameOf(actor)}`;
  }
}

function stateOf(actor: AnyActorRef): string {
  return JSON.stringify((actor.getSnapshot() as Snapshot).value ?? null);
}
