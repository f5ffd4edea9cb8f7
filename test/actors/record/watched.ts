import type { AnyActorRef } from "xstate";
import type { ActorSystem } from "../../../actors/system/actor-system.js";
import type { RecordEntry } from "../../../actors/record/frames.js";
import { type ActorModel, applyEntry, emptyModel, type Happening, type RecordModel } from "../../../actors/record/model.js";

/** A watcher with its model. */
export function watched(system: ActorSystem) {
  const model = emptyModel();
  const happened: Happening[] = [];
  const entries: RecordEntry[] = [];
  const stop = system.watchRecord((entry) => {
    entries.push(entry);
    happened.push(...applyEntry(model, entry));
  });
  const actors = (): readonly ActorModel[] =>
    [...model.instances.values()].flatMap(({ actors: all }) => [...all.values()]).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const of = <Type extends Happening["type"]>(type: Type) =>
    happened.filter((each): each is Extract<Happening, { readonly type: Type }> => each.type === type);
  /** Transitions as `path EVENT: before -> after`. */
  const lines = () =>
    of("transition").map(
      ({ path, event, before, after }) => `${path} ${event ?? "?"}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`,
    );
  return { model, happened, entries, actors, of, lines, stop };
}

/** The part of an actor that its model must have. */
export interface Seen {
  readonly path: string;
  readonly parent: string | undefined;
  readonly status: string;
  readonly value: unknown;
}

/** The actors of a model that are in instances which are live. */
export function seenIn(model: RecordModel): readonly Seen[] {
  const seen = [...model.instances.values()].flatMap(({ actors }) =>
    Array.from(actors.values(), ({ path, parent, status, value }) => ({
      path,
      parent: parent === undefined ? undefined : actors.get(parent)?.path,
      status,
      value,
    })),
  );
  return seen.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

interface AnySnapshot {
  readonly status: string;
  readonly value?: unknown;
  readonly children?: Readonly<Record<string, AnyActorRef | undefined>>;
}

/** The same from the actors themselves: those that are registered, by address, and all their children. */
export function seenOf(registered: ReadonlyMap<string, AnyActorRef>): readonly Seen[] {
  const addresses = new Map([...registered].map(([path, actor]) => [actor, path]));
  const found = new Map<AnyActorRef, Seen>();
  const visit = (actor: AnyActorRef, path: string, parent: string | undefined): void => {
    const known = found.get(actor);
    if (known !== undefined && parent === undefined) return;
    const snapshot = actor.getSnapshot() as AnySnapshot;
    found.set(actor, { path, parent, status: snapshot.status, value: snapshot.value ?? null });
    for (const child of Object.values(snapshot.children ?? {})) {
      if (child !== undefined) visit(child, addresses.get(child) ?? `${path}#${childName(child)}`, path);
    }
  };
  for (const [path, actor] of registered) visit(actor, path, undefined);
  return [...found.values()].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** XState makes ids for actors that a machine invokes without one. */
function childName({ id, src }: AnyActorRef): string {
  return typeof src === "string" && /^\d+\.|^x:/.test(id) ? src : id;
}
