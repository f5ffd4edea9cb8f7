/** The actors of a model at one moment, with their rates since the moment before: the data of `zooid top`. */
import type { ActorModel, InstanceModel, RecordModel } from "../../actors/index.js";
import type { Value } from "../../index.js";
import { statusText } from "../record-lines.js";

/** One actor. Rates are per second. */
export interface TopActor {
  /** Identifies it from one sample to the next. */
  readonly key: string;
  readonly instance: string;
  readonly path: string;
  readonly machine: string;
  readonly hasMachine: boolean;
  readonly status: ActorModel["status"];
  /** State of a running actor as one word, or the way it ended. */
  readonly state: string;
  /** Time in this state; undefined: it began before it was watched. */
  readonly forMs: number | undefined;
  readonly events: number;
  readonly transitions: number;
  readonly commits: number | undefined;
  /** Share of reads that its cache answered; undefined: there was no read. */
  readonly hitRate: number | undefined;
  /** Time since its client or node heard from its server or bus. */
  readonly staleMs: number | undefined;
  readonly context: Readonly<Record<string, Value>>;
}

/** All actors at one moment. Rates are per second. */
export interface TopSample {
  readonly at: number;
  /** Actor systems: a process has one for its client, its server or its cache, and those of its own. */
  readonly systems: number;
  /** Systems that are silent, or whose record is incomplete at the moment. */
  readonly incomplete: number;
  readonly failed: number;
  readonly commits: number;
  readonly refused: number;
  readonly transitions: number;
  readonly invalidations: number;
  /** All clients and nodes together. */
  readonly hitRate: number | undefined;
  readonly staleMs: number | undefined;
  /** Events, steps and notes that systems left out of their records. */
  readonly leftOut: number;
  readonly actors: readonly TopActor[];
}

interface Counts {
  readonly events: number;
  readonly transitions: number;
  readonly commits: number | undefined;
  readonly hits: number | undefined;
  readonly misses: number | undefined;
}

/** The counts of a model at one moment. */
interface Moment {
  readonly ms: number;
  readonly counts: ReadonlyMap<string, Counts>;
  readonly total: RecordModel["counts"];
}

/** Facts of actors are read once a second: rates over less than this would jump. */
const rateWindowMs = 2_500;

/** Compares a model with itself some moments before. */
export class Sampler {
  /** The moments of the last seconds, the oldest first. */
  #moments: Moment[] = [];

  /** `nowMs` is monotonic, `at` the wall clock. */
  sample(model: RecordModel, nowMs: number, at: number): TopSample {
    const [earlier] = this.#moments;
    const seconds = earlier === undefined ? undefined : (nowMs - earlier.ms) / 1_000;
    const rate = (now: number, before: number | undefined) =>
      seconds === undefined || seconds <= 0 || before === undefined ? 0 : Math.max(0, now - before) / seconds;
    const counts = new Map<string, Counts>();
    const reads = { hits: 0, misses: 0 };
    const instances = [...model.instances.values()].filter(({ state, actors }) => state !== "ended" && actors.size > 0);
    const actors = instances.flatMap((instance) =>
      Array.from(instance.actors.values(), (actor): TopActor => {
        const key = `${instance.instance} ${actor.ref}`;
        const now = countsOf(actor);
        const before = earlier?.counts.get(key);
        counts.set(key, now);
        const hits = rate(now.hits ?? 0, before?.hits);
        const misses = rate(now.misses ?? 0, before?.misses);
        reads.hits += hits;
        reads.misses += misses;
        return {
          key,
          instance: instance.instance,
          path: actor.path,
          machine: actor.name,
          hasMachine: actor.machine !== undefined,
          status: actor.status,
          state: instance.state === "lost" ? "(silent)" : statusText(actor),
          forMs: actor.isSinceKnown ? forMs(actor, instance, at) : undefined,
          events: rate(now.events, before?.events),
          transitions: rate(now.transitions, before?.transitions),
          commits: now.commits === undefined ? undefined : rate(now.commits, before?.commits),
          hitRate: shareOf(hits, misses) ?? shareOf(now.hits ?? 0, now.misses ?? 0),
          staleMs: numberIn(actor.shown, "heardMsAgo"),
          context: actor.shown,
        };
      }),
    );
    const total = model.counts;
    const inNotes = earlier?.total;
    this.#moments = [...this.#moments.filter(({ ms }) => nowMs - ms < rateWindowMs), { ms: nowMs, counts, total: { ...total } }];
    const written = actors.flatMap(({ commits }) => (commits === undefined ? [] : [commits]));
    const stale = actors.flatMap(({ staleMs }) => (staleMs === undefined ? [] : [staleMs]));
    return {
      at,
      systems: instances.length,
      incomplete: instances.filter(({ state }) => state !== "live").length,
      failed: actors.filter(({ status, hasMachine }) => status === "error" && hasMachine).length,
      // A server counts all commits, but notes of a busy server are left out.
      commits: written.length > 0 ? sum(written) : rate(total.commits, inNotes?.commits),
      refused: rate(total.refused, inNotes?.refused),
      transitions: rate(total.transitions, inNotes?.transitions),
      invalidations: rate(total.invalidations, inNotes?.invalidations),
      hitRate: shareOf(reads.hits, reads.misses),
      staleMs: stale.length === 0 ? undefined : Math.max(...stale),
      leftOut: sum(instances.map(({ left }) => left.events + left.steps + left.notes)),
      actors,
    };
  }
}

function countsOf({ events, transitions, shown }: ActorModel): Counts {
  return {
    events,
    transitions,
    commits: numberIn(shown, "commits"),
    hits: numberIn(shown, "hits"),
    misses: numberIn(shown, "misses"),
  };
}

/** Times of an actor are those of its instance's clock, which may differ from the one here. */
function forMs({ since }: ActorModel, { at: there, heardAt }: InstanceModel, at: number): number {
  return Math.max(0, there - since + (at - heardAt));
}

function numberIn(facts: Readonly<Record<string, Value>>, name: string): number | undefined {
  const value = facts[name];
  return typeof value === "number" ? value : undefined;
}

function shareOf(hits: number, misses: number): number | undefined {
  return hits + misses > 0 ? hits / (hits + misses) : undefined;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
