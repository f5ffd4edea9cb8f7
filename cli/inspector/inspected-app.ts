/** One application that sends its actors as the WebSocket inspector of `@statelyai/inspect` does, as a record. */
import { createHash } from "node:crypto";
import { createMachine } from "xstate";
import { describeMachine, type RecordEntry, type RecordItem } from "../../actors/index.js";
import { type Clock, limits } from "../../core/index.js";
import type { Value } from "../../index.js";

type Json = Readonly<Record<string, unknown>>;

interface Known {
  readonly ref: number;
  readonly name: string;
  readonly parent: string | undefined;
  value: string;
  status: string;
}

const statuses = ["active", "done", "error", "stopped"] as const;
/** A context that is longer, as JSON, is not shown. */
const contextLengthMax = 16 * 1024;

/**
 * Turns messages into frames. A message that is none of the known kinds, or that lacks a part, changes nothing. Roots
 * of one application have the same session ids (XState numbers the actors of each system anew): the last one that
 * announced itself counts.
 */
export class InspectedApp {
  readonly #instance: string;
  readonly #clock: Clock;
  readonly #emit: (entry: RecordEntry) => void;
  readonly #actors = new Map<string, Known>();
  readonly #machines = new Set<string>();
  #refs = 0;
  #number = 0;
  /** Messages that were not understood. */
  ignored = 0;

  constructor(instance: string, clock: Clock, emit: (entry: RecordEntry) => void) {
    this.#instance = instance;
    this.#clock = clock;
    this.#emit = emit;
    this.#send([{ type: "begin" }, { type: "end", actors: 0 }]);
  }

  /** Takes one message of the application. Never throws. */
  take(text: string): void {
    const message = recordIn(text);
    const session = textIn(message?.["sessionId"]);
    if (message === undefined || session === undefined) {
      this.ignored++;
      return;
    }
    const items: RecordItem[] = [];
    switch (message["type"]) {
      case "@xstate.actor":
        this.#appeared(session, message, items);
        break;
      case "@xstate.event":
        this.#gotEvent(session, message, items);
        break;
      case "@xstate.snapshot":
        this.#changed(session, message, items);
        break;
      default:
        this.ignored++;
    }
    if (items.length > 0) this.#send(items);
  }

  /** The application is gone. */
  end(): void {
    this.#send([{ type: "bye" }]);
  }

  #appeared(session: string, message: Json, items: RecordItem[]): void {
    if (this.#actors.size >= limits.recordActorsMax) return;
    const parent = textIn(message["parentId"]);
    const above = parent === undefined ? undefined : this.#actors.get(parent);
    const snapshot = asRecord(message["snapshot"]) ?? {};
    const name = textIn(message["name"]) ?? session;
    const described = this.#described(textIn(message["definition"], 4 * limits.actorMachineBytesMax), items);
    const known: Known = { ref: this.#refs++, name, parent, value: JSON.stringify(snapshot["value"] ?? null), status: statusOf(snapshot) };
    const before = this.#actors.get(session);
    if (before !== undefined && before.name === name) items.push({ type: "gone", ms: 0, actor: before.ref });
    this.#actors.set(session, known);
    items.push({
      type: "actor",
      ms: 0,
      actor: known.ref,
      parent: above?.ref,
      path: this.#pathOf(known),
      name: described?.id ?? name,
      machine: described?.hash,
      status: statusOf(snapshot),
      value: (snapshot["value"] ?? null) as Value,
      since: undefined,
      shown: shownIn(snapshot),
      reason: reasonIn(snapshot),
    });
  }

  #gotEvent(session: string, message: Json, items: RecordItem[]): void {
    const actor = this.#actors.get(session);
    const event = asRecord(message["event"]);
    const type = textIn(event?.["type"]);
    if (actor === undefined || type === undefined) return;
    const source = textIn(message["sourceId"]);
    const from = source === undefined ? undefined : this.#actors.get(source);
    if (from !== undefined && type.startsWith("xstate.error.actor.")) this.#failed(from, event?.["error"], items);
    items.push({ type: "event", ms: 0, actor: actor.ref, from: from?.ref, event: type });
  }

  #changed(session: string, message: Json, items: RecordItem[]): void {
    const actor = this.#actors.get(session);
    const snapshot = asRecord(message["snapshot"]);
    if (actor === undefined || snapshot === undefined) return;
    const value = JSON.stringify(snapshot["value"] ?? null);
    const shown = shownIn(snapshot);
    const isMoved = value !== actor.value;
    actor.value = value;
    if (isMoved || Object.keys(shown).length > 0)
      items.push({ type: "state", ms: 0, actor: actor.ref, value: (snapshot["value"] ?? null) as Value, shown });
    const status = statusOf(snapshot);
    if (status === "error") this.#failed(actor, snapshot["error"], items);
    else if (status !== actor.status && status !== "active") items.push({ type: "stop", ms: 0, actor: actor.ref, status });
    actor.status = status;
    const children = asRecord(snapshot["children"]);
    if (children === undefined) return;
    for (const [child, known] of this.#actors) {
      if (known.parent !== session || Object.hasOwn(children, known.name)) continue;
      this.#actors.delete(child);
      items.push({ type: "gone", ms: 0, actor: known.ref });
    }
  }

  #failed(actor: Known, error: unknown, items: RecordItem[]): void {
    if (actor.status === "error") return;
    actor.status = "error";
    items.push({ type: "failure", ms: 0, actor: actor.ref, reason: reasonIn({ error }) ?? "" });
  }

  #pathOf(known: Known): string {
    const above = known.parent === undefined ? undefined : this.#actors.get(known.parent);
    return above === undefined ? known.name : `${this.#pathOf(above)}#${known.name}`;
  }

  /** The machine of a definition: the configuration of a machine, as JSON. */
  #described(definition: string | undefined, items: RecordItem[]) {
    const config = definition === undefined ? undefined : recordIn(definition);
    if (definition === undefined || config === undefined || asRecord(config["states"]) === undefined) return undefined;
    try {
      const description = describeMachine(createMachine(config as never));
      const hash = createHash("sha256").update(definition).digest("hex").slice(0, 16);
      if (!this.#machines.has(hash) && this.#machines.size < limits.recordMachinesMax) {
        this.#machines.add(hash);
        items.push({ type: "machine", hash, definition: description as unknown as Value });
      }
      return { id: description.id, hash };
    } catch {
      // XState refuses the configuration: the actor is shown without its machine.
      return undefined;
    }
  }

  #send(items: readonly RecordItem[]): void {
    const at = Math.max(0, Math.floor(this.#clock.now()));
    this.#emit({ type: "frame", at, frame: { format: 1, instance: this.#instance, number: this.#number++, at, items } });
  }
}

function recordIn(text: string): Json | undefined {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function textIn(value: unknown, lengthMax: number = limits.recordNameLengthMax): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= lengthMax ? value : undefined;
}

function statusOf(snapshot: Json): (typeof statuses)[number] {
  return statuses.find((status) => status === snapshot["status"]) ?? "active";
}

function shownIn(snapshot: Json): Readonly<Record<string, Value>> {
  const context = asRecord(snapshot["context"]);
  return context !== undefined && JSON.stringify(context).length <= contextLengthMax ? (context as Readonly<Record<string, Value>>) : {};
}

function reasonIn({ error }: Json): string | undefined {
  if (error === undefined || error === null) return undefined;
  const message = asRecord(error)?.["message"];
  // An Error becomes {} in the JSON of the inspector.
  const json = typeof error === "string" ? error : JSON.stringify(error);
  const text = typeof message === "string" ? message : json === "{}" ? "the inspector sends no reason" : json;
  return text.replaceAll(/\s+/g, " ").slice(0, limits.actorReasonLengthMax);
}
