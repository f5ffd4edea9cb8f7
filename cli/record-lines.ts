/** The lines of what happens in a record, for people and for programs. */
import type { ActorModel, Happening, InstanceModel } from "../actors/index.js";
import type { Value } from "../index.js";
import { stateText } from "./actors.js";
import { toJson } from "./json-values.js";

type OfType<Type extends Happening["type"]> = Extract<Happening, { readonly type: Type }>;

/** The line of one happening for a person; undefined: it is not shown. `pathWidth` aligns lines. */
export function happeningLine(happening: Happening, pathWidth = 0): string | undefined {
  const line = (subject: string, text: string) => `${timeText(happening.at)}  ${subject.padEnd(pathWidth)}  ${text}`.trimEnd();
  switch (happening.type) {
    case "transition":
      return line(happening.path, transitionText(happening));
    case "actor":
      return happening.isNew ? line(happening.actor.path, `is ${statusText(happening.actor)}`) : undefined;
    case "stopped":
      return line(happening.actor.path, statusText(happening.actor));
    case "failed":
      return line(happening.actor.path, statusText(happening.actor));
    case "gone":
      return line(happening.actor.path, "is gone");
    case "note":
      return line(happening.note.who, noteText(happening));
    case "instance":
      return instanceText(happening) === undefined ? undefined : line(`system ${happening.instance}`, instanceText(happening) ?? "");
    case "left":
      return line(`system ${happening.instance}`, `left out: ${leftText(happening.left)}`);
    case "paused": {
      const { usedMs, ofMs, forMs } = happening.paused;
      return line(`system ${happening.instance}`, `recording took ${usedMs} of ${ofMs} ms, and pauses for ${forMs / 1_000} s`);
    }
  }
}

/** One happening as JSON for a program; undefined: it is not shown. */
export function happeningJson(happening: Happening): object | undefined {
  const { type, at } = happening;
  switch (happening.type) {
    case "transition": {
      const { instance, path, event = null, from = null, guards, actions, before, after } = happening;
      return { type, at, instance, path, event, from, guards, actions, before, after };
    }
    case "actor":
      return happening.isNew ? { type, at, ...actorJson(happening.actor) } : undefined;
    case "stopped":
    case "failed":
    case "gone":
      return { type, at, ...actorJson(happening.actor) };
    case "note": {
      const { ms: _ms, type: _type, ...note } = happening.note;
      return { type, at, instance: happening.instance, ...note };
    }
    case "instance":
      if (happening.state === "joining" || happening.state === "showing" || happening.state === "paused") return undefined;
      return { type, at, instance: happening.instance, state: happening.state };
    case "left": {
      const { type: _type, ...left } = happening.left;
      return { type, at, instance: happening.instance, ...left };
    }
    case "paused": {
      const { usedMs, ofMs, forMs } = happening.paused;
      return { type, at, instance: happening.instance, usedMs, ofMs, forMs };
    }
  }
}

/** An actor of a model as JSON. */
export function actorJson(actor: ActorModel): object {
  const { instance, path, name, status, value, since, isSinceKnown, shown, reason = null, events, transitions } = actor;
  return {
    instance,
    path,
    machine: name,
    status,
    value,
    since,
    isSinceKnown,
    context: toJson(shown),
    failure: reason,
    events,
    transitions,
  };
}

/** The state of a running actor, or the way it ended. */
export function statusText({ status, value, reason }: Pick<ActorModel, "status" | "value" | "reason">): string {
  if (status === "active") return stateText(value);
  return status === "error" ? `failed: ${reason ?? ""}` : status;
}

/** Wall clock as `15:04:05.123`, in the time zone of this process. */
export function timeText(at: number): string {
  const date = new Date(at);
  const digits = (value: number, width = 2) => String(value).padStart(width, "0");
  return `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}.${digits(date.getMilliseconds(), 3)}`;
}

/** `open -> closed   CLOSE [isEmpty] / lock, note   from orders/4711`. */
export function transitionText({ path, before, after, event, from, guards, actions }: OfType<"transition">): string {
  const states = isSame(before, after) ? stateText(after) : `${stateText(before)} -> ${stateText(after)}`;
  const cause = [
    event === undefined ? undefined : eventText(event),
    guards.length > 0 ? `[${guards.join(", ")}]` : undefined,
    actions.length > 0 ? `/ ${actions.join(", ")}` : undefined,
    // A timer is an event that an actor sends to itself.
    from === undefined || from === "" || from === path ? undefined : `from ${from}`,
  ].filter((part) => part !== undefined);
  return cause.length === 0 ? states : `${states}   ${cause.join(" ")}`;
}

/** XState's own events as people know them: `xstate.after.retryDelay.connection.waiting` as `after retryDelay`. */
export function eventText(event: string): string {
  const [, kind, rest = ""] = /^xstate\.(init|stop|after|done\.actor|error\.actor|done\.state|snapshot)\.?(.*)$/s.exec(event) ?? [];
  switch (kind) {
    case "init":
      return "started";
    case "stop":
      return "stopped";
    case "after": {
      const [delay = ""] = rest.split(".");
      return /^\d+$/.test(delay) ? `after ${delay} ms` : `after ${delay}`;
    }
    case "done.actor":
      return `done: ${rest}`;
    case "error.actor":
      return `failed: ${rest}`;
    case "done.state":
      return "all inner states done";
    case "snapshot":
      return `changed: ${rest}`;
    default:
      return event;
  }
}

function noteText({ note }: OfType<"note">): string {
  const { what, of, id, number, size, reason } = note;
  const keys = size === undefined ? "" : `, ${size} ${size === 1 ? "key" : "keys"}`;
  switch (what) {
    case "sent":
      return `commit ${id ?? ""} sent to ${of}${keys}`;
    case "committed":
      return `commit ${id ?? ""} has tid ${number ?? "?"} in ${of}`;
    case "refused":
      return `commit ${id ?? ""} refused by ${of}: ${reason ?? ""}`;
    case "written":
      return `commit ${id ?? ""} written as tid ${number ?? "?"}${keys}`;
    case "applied":
      return `tid ${number ?? "?"} of ${of} applied${keys}`;
    case "invalidated":
      return `invalidates ${of}${id === undefined ? "" : ` (${id})`}`;
    case "heard":
      return `invalidation ${number ?? "?"} of ${of} applied`;
  }
}

function instanceText({ state }: { readonly state: InstanceModel["state"] }): string | undefined {
  switch (state) {
    case "behind":
      return "a part of its record is missing: it is asked for all its actors again";
    case "lost":
      return "has become silent";
    case "ended":
      return "has ended";
    case "live":
    case "joining":
    case "showing":
    case "paused":
      return undefined;
  }
}

function leftText(left: Readonly<Record<"events" | "steps" | "states" | "notes" | "others", number>>): string {
  return (["events", "steps", "states", "notes", "others"] as const)
    .filter((kind) => left[kind] > 0)
    .map((kind) => `${left[kind]} ${kind === "others" ? "too large" : kind}`)
    .join(", ");
}

/** Whether a transition leaves the state as it was. */
export function isSame(before: Value, after: Value): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}
