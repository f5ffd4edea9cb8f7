/** The state of the actors that the record must show, read from the actors themselves. */
import type { AnyActorRef } from "xstate";
import type { Value } from "../../../core/index.js";
import type { ActorModel } from "../../../actors/record/model.js";
import { reasonOf } from "../../../actors/system/containment.js";

export interface Registered {
  readonly actor: AnyActorRef;
  readonly describe: ((snapshot: unknown) => Readonly<Record<string, Value>>) | undefined;
}

export interface AnySnapshot {
  readonly status: string;
  readonly value?: Value;
  readonly error?: unknown;
  readonly children?: Readonly<Record<string, AnyActorRef | undefined>>;
}

export function childrenOf(actor: AnyActorRef): readonly AnyActorRef[] {
  const { children = {} } = actor.getSnapshot() as AnySnapshot;
  return Object.values(children).filter((child) => child !== undefined);
}

export function parentOf(actor: AnyActorRef): AnyActorRef | undefined {
  return (actor as { readonly _parent?: AnyActorRef })["_parent"];
}

/** Lines of text, one for each actor, in the order of the text. Two of them are equal if the record is right. */
export type Picture = readonly string[];

interface Line {
  readonly path: string;
  readonly parent: string | undefined;
  readonly status: string;
  readonly value: Value;
  readonly reason: string | undefined;
  /** Facts that it describes, as text. */
  readonly shown: string | undefined;
}

export interface PictureOptions {
  /** Whether the facts that actors describe are in the picture: the record has them some time later. */
  readonly hasFacts: boolean;
}

/** The registered actors by address, and all their children. */
export function pictureOf(registered: ReadonlyMap<string, Registered>, { hasFacts }: PictureOptions): Picture {
  const addresses = new Map<AnyActorRef, string>();
  const described = new Map<AnyActorRef, Registered["describe"]>();
  for (const [path, { actor, describe }] of registered) {
    if (!addresses.has(actor)) addresses.set(actor, path);
    described.set(actor, described.get(actor) ?? describe);
  }
  const lines = new Map<AnyActorRef, Line>();
  const visit = (actor: AnyActorRef, path: string, parent: string | undefined): void => {
    if (lines.has(actor) && parent === undefined) return;
    const snapshot = actor.getSnapshot() as AnySnapshot;
    const { status, value = null, error } = snapshot;
    const describe = described.get(actor);
    const facts = describe === undefined || !hasFacts ? {} : describe(snapshot);
    const reason = status === "error" ? reasonOf(error) : undefined;
    lines.set(actor, { path, parent, status, value, reason, shown: hasFacts ? textOf(facts) : undefined });
    for (const child of childrenOf(actor)) visit(child, addresses.get(child) ?? `${path}#${nameOf(child)}`, path);
  };
  for (const [path, { actor }] of registered) if (addresses.get(actor) === path) visit(actor, path, undefined);
  return asPicture(lines.values());
}

/** The actors of a model. */
export function pictureIn(actors: ReadonlyMap<number, ActorModel>, { hasFacts }: PictureOptions): Picture {
  const lines = Array.from(actors.values(), ({ path, parent, status, value, reason, shown }): Line => {
    const above = parent === undefined ? undefined : (actors.get(parent)?.path ?? `unknown ${parent}`);
    return { path, parent: above, status, value, reason, shown: hasFacts ? textOf(shown) : undefined };
  });
  return asPicture(lines);
}

/** The lines that differ. */
export function difference(expected: Picture, found: Picture): { readonly missing: Picture; readonly extra: Picture } {
  return { missing: without(expected, found), extra: without(found, expected) };
}

/** The lines of `all` that are not in `some`, each as often as it is not. */
function without(all: Picture, some: Picture): Picture {
  const counts = new Map<string, number>();
  for (const line of some) counts.set(line, (counts.get(line) ?? 0) + 1);
  return all.filter((line) => {
    const count = counts.get(line) ?? 0;
    counts.set(line, count - 1);
    return count <= 0;
  });
}

function asPicture(lines: Iterable<Line>): Picture {
  return Array.from(lines, ({ path, parent, status, value, reason, shown }) =>
    JSON.stringify([path, parent ?? null, status, value, reason ?? null, shown ?? null]),
  ).toSorted();
}

function textOf(facts: Readonly<Record<string, Value>>): string {
  return JSON.stringify(facts);
}

/** XState makes ids for actors that a machine invokes without one. */
export function nameOf({ id, src }: AnyActorRef): string {
  return typeof src === "string" && /^\d+\.|^x:\d/.test(id) ? src : id;
}
