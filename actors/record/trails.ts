/** Commits and invalidations, each followed from the place where it began to all places that it reached. */
import { limits } from "../../core/limits.js";
import type { ItemOf } from "./frames.js";

/** One commit or invalidation, as far as the record shows it. All times are wall clocks of the places, in ms. */
export interface Trail {
  readonly kind: "commit" | "invalidation";
  /** The storage, or the tag. */
  readonly of: string;
  /** Id of the transaction or the publication. */
  id?: string;
  /** The tid, or the sequence on the bus. */
  number?: number;
  /** The client or node where it began, and when. */
  by?: string;
  beganAt?: number;
  /** When the server has written it. */
  writtenAt?: number;
  /** When its client or node has learned its number. */
  confirmedAt?: number;
  /** Code of the error that refused it. */
  refused?: string;
  /** Number of keys. */
  size?: number;
  /** When each client has applied it, or each node has heard it. */
  readonly places: Map<string, number>;
}

/** The latest trails of one kind. Notes of one trail may come in any order, and from several instances. */
export class Trails {
  readonly #kind: Trail["kind"];
  readonly #byId = new Map<string, Trail>();
  readonly #byNumber = new Map<string, Trail>();
  /** In the order in which they appeared. */
  readonly #all = new Set<Trail>();

  constructor(kind: Trail["kind"]) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): Iterator<Trail> {
    return this.#all[Symbol.iterator]();
  }

  withId(id: string): Trail | undefined {
    return this.#byId.get(id);
  }

  withNumber(of: string, number: number): Trail | undefined {
    return this.#byNumber.get(`${number} ${of}`);
  }

  /** Adds a note, which was taken at `at`. */
  add({ what, who, of, id, number, size, reason }: ItemOf<"note">, at: number): Trail {
    const trail = this.#trail(of, id, number);
    if (size !== undefined) trail.size = size;
    switch (what) {
      case "sent":
      case "invalidated":
        trail.by = who;
        trail.beganAt = at;
        break;
      case "written":
        trail.writtenAt = at;
        break;
      case "committed":
        trail.by = who;
        trail.confirmedAt = at;
        break;
      case "refused":
        trail.by = who;
        trail.refused = reason ?? "";
        break;
      case "heard":
        if (trail.by === who) trail.confirmedAt = at;
        place(trail, who, at);
        break;
      case "applied":
        place(trail, who, at);
        break;
    }
    return trail;
  }

  #trail(of: string, id: string | undefined, number: number | undefined): Trail {
    const byId = id === undefined ? undefined : this.#byId.get(id);
    const byNumber = number === undefined ? undefined : this.withNumber(of, number);
    const trail = byId ?? byNumber ?? this.#begin(of);
    if (byId !== undefined && byNumber !== undefined && byId !== byNumber) this.#merge(byId, byNumber);
    if (id !== undefined && trail.id === undefined) {
      trail.id = id;
      this.#byId.set(id, trail);
    }
    if (number !== undefined && trail.number === undefined) {
      trail.number = number;
      this.#byNumber.set(`${number} ${of}`, trail);
    }
    return trail;
  }

  #begin(of: string): Trail {
    const trail: Trail = { kind: this.#kind, of, places: new Map() };
    this.#all.add(trail);
    if (this.#all.size > limits.recordTrailsMax) this.#makeRoom();
    return trail;
  }

  /**
   * Forgets the oldest, many at once: to find the first entry, V8 passes the places of all those that were deleted
   * before it.
   */
  #makeRoom(): void {
    const kept = limits.recordTrailsMax - Math.ceil(limits.recordTrailsMax / 16);
    for (const oldest of this.#all) {
      if (this.#all.size <= kept) return;
      this.#forget(oldest);
    }
  }

  /** A place was heard of before the id and the number were known to belong together. */
  #merge(into: Trail, from: Trail): void {
    this.#forget(from);
    const { number, writtenAt, size } = from;
    if (number !== undefined) {
      into.number = number;
      this.#byNumber.set(`${number} ${into.of}`, into);
    }
    if (writtenAt !== undefined) into.writtenAt = writtenAt;
    if (size !== undefined) into.size ??= size;
    for (const [who, at] of from.places) place(into, who, at);
  }

  #forget(trail: Trail): void {
    this.#all.delete(trail);
    if (trail.id !== undefined && this.#byId.get(trail.id) === trail) this.#byId.delete(trail.id);
    if (trail.number === undefined) return;
    const key = `${trail.number} ${trail.of}`;
    if (this.#byNumber.get(key) === trail) this.#byNumber.delete(key);
  }
}

function place(trail: Trail, who: string, at: number): void {
  if (trail.places.size < limits.recordTrailPlacesMax && !trail.places.has(who)) trail.places.set(who, at);
}
