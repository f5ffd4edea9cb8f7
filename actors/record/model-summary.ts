import type { Value } from "../../core/value.js";
import type { ActorModel, InstanceModel, RecordModel, Transition } from "./model.js";
import type { Trail } from "./trails.js";

/** A model as plain data, in a fixed order: two models are the same if their summaries are. */
export interface ModelSummary {
  readonly counts: RecordModel["counts"];
  readonly instances: readonly (Omit<InstanceModel, "actors" | "showing"> & { readonly actors: readonly ActorModel[] })[];
  readonly machines: Readonly<Record<string, Value>>;
  readonly transitions: readonly Transition[];
  readonly commits: readonly TrailSummary[];
  readonly invalidations: readonly TrailSummary[];
}

/** A trail with its places by name. */
export type TrailSummary = Omit<Trail, "places"> & { readonly places: Readonly<Record<string, number>> };

/** The summary of a model. It shares no part of the model that changes. */
export function summaryOf(model: RecordModel): ModelSummary {
  const { counts, instances, machines, transitions, commits, invalidations } = model;
  const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return {
    counts: { ...counts },
    instances: [...instances.values()]
      .map(({ showing: _showing, actors, ...instance }) => ({
        ...instance,
        actors: Array.from(actors.values(), (actor) => ({ ...actor })).toSorted((a, b) => byText(a.path, b.path) || a.ref - b.ref),
      }))
      .toSorted((a, b) => byText(a.instance, b.instance)),
    machines: Object.fromEntries([...machines].toSorted(([a], [b]) => byText(a, b))),
    transitions: [...transitions],
    commits: Array.from(commits, trailSummary),
    invalidations: Array.from(invalidations, trailSummary),
  };
}

function trailSummary({ places, ...trail }: Trail): TrailSummary {
  return { ...trail, places: Object.fromEntries(places) };
}
