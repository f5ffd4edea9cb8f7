import type { BusEvent } from "../../../transport/index.js";
import { readBusWord } from "../../../transport/jetstream/messages.js";
import type { TakenMessage } from "../../../testing/simulated-jetstream.js";
import type { Judge } from "../common/stage.js";
import { historyHeader } from "../../../testing/simulated-stream.js";
import { Violation } from "../common/violation.js";
import { type StreamLog, StreamLogs, type LogPosition } from "./stream-log.js";

/**
 * A result with its own evidence: for each tag that it depends on, the moment at which its computation began; for each
 * row, the version that it read.
 */
export interface Made {
  /** Number of the computation that made the result. 0: no computation made it. */
  readonly run: number;
  readonly marks: readonly (readonly [tag: string, moment: number])[];
  readonly rows: Readonly<Record<string, number>>;
}

/** One life of a process with a cache. */
export interface NodeLife {
  readonly node: string;
  readonly number: number;
  /** By tag: the moment before which a result under the tag is stale in this life. Only rises. */
  readonly floors: Map<string, number>;
  /** By log: the sequence up to which the node's bus has reported the whole log. */
  readonly reported: Map<StreamLog<Taken>, number>;
  /** By sequence: the log of the last message with this sequence that reached the node. */
  readonly arrived: Map<number, StreamLog<Taken>>;
  /** The log in which the last event of the node's bus counts. */
  standsIn: StreamLog<Taken> | undefined;
  /**
   * Whether the node uses results of other nodes. These may be from before a reset of this node, but never from before
   * an invalidation that both nodes know.
   */
  readonly sharesResults: boolean;
  isOver: boolean;
}

/** A call in progress. */
export interface Call {
  readonly life: NodeLife;
  readonly what: string;
  readonly beganMs: number;
  readonly floors: ReadonlyMap<string, number>;
}

/** An invalidation that a user requested. */
export interface Issued {
  readonly life: NodeLife;
  readonly tag: string;
  readonly moment: number;
  /** The place that promised to keep it when its process dies. Undefined: only the memory of its process has it. */
  keptBy: "bus" | "disk" | undefined;
  /** The process that has it in its memory. */
  holder: NodeLife;
  /**
   * Whether it need not count at the end: its holder was killed while only the holder had it, or a power failure
   * removed it from the broker and no live node knows of it.
   */
  isExempt: boolean;
}

export interface Taken {
  /** The life that requested it. */
  readonly life: NodeLife;
  readonly sequence: number;
  readonly tag: string;
  readonly moment: number;
  readonly takenMs: number;
  /** Whether a power failure removed it from the stream. */
  isLost: boolean;
  /**
   * Nodes that may have missed it and may receive no later message of its publisher, because no stream keeps it. Value:
   * when the node received a message of that publisher again; Infinity before that.
   */
  readonly excused: Map<NodeLife, number>;
}

/** An invalidation that a broker without a stream took. */
export interface PlainPublication {
  readonly id: string;
  readonly tag: string;
  readonly publisher: string;
  /** Place among the publications of its publisher, from 1. */
  readonly number: number;
}

interface DrawnId {
  readonly life: NodeLife;
  /** Undefined: an earlier life of the node requested the invalidation. */
  readonly moment: number | undefined;
}

/** The sequence up to which a node's bus has reported everything that a stream took. */
export type StreamPosition = LogPosition<Taken>;

/**
 * Invalidations that a power failure removed from the end of a log, and the live nodes whose buses may have reported
 * them, then or later.
 */
interface Loss {
  readonly log: StreamLog<Taken>;
  readonly lost: readonly Taken[];
  readonly alive: readonly NodeLife[];
}

export interface CacheCheckerOptions {
  /** Monotonic time of the world. */
  readonly now: () => number;
  /**
   * Maximal time from when the stream takes an invalidation until every node respects it in its results, cut off or
   * not.
   */
  readonly staleMsMax: number;
  /** Maximal duration of a call. */
  readonly callMsMax: number;
}

/**
 * Checks the results that nodes serve against promise 11. The checker counts moments, one for each thing that happens.
 * A result carries the moments at which the computations behind it began; an invalidation carries the moment at which
 * it was requested.
 *
 * 1. Applied here. A node's own invalidation counts from its call on. An invalidation of the bus counts once the node's
 *    bus has reported it, or anything that the stream took later in the same log. While a node catches up, an
 *    invalidation that a later one of its tag has superseded counts with that later one; once the node follows, all
 *    count. A call that begins then gets no result whose computation began before the invalidation was requested.
 * 2. Cut off. The same holds `staleMsMax` after the stream took the invalidation, whether the node received it or not.
 * 3. Persistent. An invalidation that was promised on disk counts in the next life of the process. A disk that has
 *    failed promises nothing more.
 */
export class CacheChecker implements Judge {
  readonly violations: Violation[] = [];
  readonly counts = { calls: 0, served: 0, invalidations: 0, taken: 0, resets: 0, lost: 0, kills: 0, excused: 0 };
  readonly issued: Issued[] = [];
  readonly #options: CacheCheckerOptions;
  readonly #open = new Set<Call>();
  /** By id of an invalidation: the life that drew the id. */
  readonly #ids = new Map<string, DrawnId>();
  readonly #logs = new StreamLogs<Taken>();
  /** In the order in which all streams took them. */
  readonly #taken: Taken[] = [];
  /** Number of entries of `#taken` that every node must respect by now. */
  #due = 0;
  readonly #dueFloors = new Map<string, number>();
  /** Invalidations from which some nodes are excused. */
  readonly #excused: { readonly taken: Taken; readonly publisher: string; readonly number: number }[] = [];
  readonly #losses: Loss[] = [];
  #moment = 0;

  constructor(options: CacheCheckerOptions) {
    this.#options = options;
  }

  violated(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    this.violations.push(new Violation(promise, sentence, facts));
  }

  /** Counts one more moment and returns it. */
  next(): number {
    return ++this.#moment;
  }

  /**
   * `life` drew `id`: the invalidation published under it was requested at the current moment. `isLeft`: an earlier
   * life requested it, and left it on the disk.
   */
  drawn(life: NodeLife, id: string, isLeft = false): void {
    this.#ids.set(id, { life, moment: isLeft ? undefined : this.#moment });
  }

  /** When the invalidation of `tag` that is published under `id` was requested. Undefined: it was not. */
  #requested(id: string, tag: string): { readonly life: NodeLife; readonly moment: number } | undefined {
    const drawn = this.#ids.get(id);
    if (drawn === undefined) return undefined;
    const { life, moment } = drawn;
    if (moment !== undefined) return { life, moment };
    const left = this.issued.filter(
      (issued) => issued.life.node === life.node && issued.life.number < life.number && isUnder(issued.tag, tag),
    );
    return left.length === 0 ? undefined : { life, moment: Math.max(...left.map((issued) => issued.moment)) };
  }

  // ---- The stream

  /** A stream took a message. */
  took({ subject, payload, sequence, created, headers }: TakenMessage): void {
    const log = this.#logs.writes(created, headers[historyHeader] ?? "");
    const [, tokens] = subject.split(".inv.");
    if (tokens === undefined) return;
    const word = readBusWord(tokens, payload);
    if (word.type !== "invalidate") return;
    const requested = this.#requested(word.id, word.tag);
    if (requested === undefined) {
      this.violated(11, "every published invalidation was requested", { id: word.id, tag: word.tag });
      return;
    }
    const taken: Taken = { ...requested, sequence, tag: word.tag, takenMs: this.#options.now(), isLost: false, excused: new Map() };
    this.counts.taken++;
    this.#taken.push(taken);
    log.taken.push(taken);
  }

  /**
   * A broker without a stream took an invalidation. `excused`: nodes that may miss it until they receive a message of
   * its publisher.
   */
  published({ id, tag, publisher, number }: PlainPublication, excused: readonly NodeLife[]): void {
    const requested = this.#requested(id, tag);
    if (requested === undefined) {
      this.violated(11, "every published invalidation was requested", { id, tag });
      return;
    }
    const takenMs = this.#options.now();
    const never = new Map(excused.map((life) => [life, Infinity] as const));
    const taken: Taken = { ...requested, sequence: 0, tag, takenMs, isLost: false, excused: never };
    this.counts.taken++;
    this.counts.excused += excused.length;
    this.#taken.push(taken);
    if (excused.length > 0) this.#excused.push({ taken, publisher, number });
  }

  /** `life` received a message which says that `publisher` has published `number` invalidations. */
  heard(life: NodeLife, publisher: string, number: number): void {
    for (const each of this.#excused) {
      const { excused } = each.taken;
      if (each.publisher !== publisher || each.number > number || excused.get(life) !== Infinity) continue;
      excused.set(life, this.#options.now());
    }
  }

  /**
   * A power failure removed the messages of stream `created` after `sequence`. `alive`: the nodes that may know of
   * them, now or once messages in flight arrive.
   */
  lost(created: string, sequence: number, alive: readonly NodeLife[]): void {
    const log = this.#logs.lost(created, sequence);
    const lost = log.taken.filter((taken) => taken.sequence > sequence);
    if (lost.length === 0) return;
    this.counts.lost += lost.length;
    for (const taken of lost) taken.isLost = true;
    this.#losses.push({ log, lost, alive });
  }

  // ---- Nodes

  /** A process began. `kept`: invalidations that its disk has from an earlier process. */
  born(node: string, number: number, kept: ReadonlyMap<string, number> = new Map(), sharesResults = false): NodeLife {
    return {
      node,
      number,
      floors: new Map(kept),
      reported: new Map(),
      arrived: new Map(),
      standsIn: undefined,
      sharesResults,
      isOver: false,
    };
  }

  /** A process was killed or closed. */
  died(life: NodeLife): void {
    life.isOver = true;
    for (const call of this.#open) if (call.life === life) this.#open.delete(call);
    for (const issued of this.issued) if (issued.holder === life && issued.keptBy === undefined) issued.isExempt = true;
  }

  /**
   * The disk of `life` was erased because it had failed: invalidations that wait to be published are only in memory
   * now.
   */
  erased(life: NodeLife): void {
    for (const issued of this.issued) {
      if (issued.life.node !== life.node || issued.keptBy !== "disk") continue;
      issued.keptBy = undefined;
      issued.holder = life;
    }
  }

  /** A message that a stream took in `history` reached `life`. */
  arrived(life: NodeLife, history: string, sequence: number): void {
    const log = this.#logs.of(history);
    if (log !== undefined) life.arrived.set(sequence, log);
  }

  /**
   * The link of `life` dropped, or is new. A message that arrived before and that the bus has not reported yet is never
   * reported.
   */
  relinked(life: NodeLife): void {
    life.arrived.clear();
  }

  /**
   * The node's bus reported `event`, and the cache has handled it. Returns the log, and the sequence up to which the
   * bus has reported all of it.
   */
  reported(life: NodeLife, event: BusEvent): StreamPosition | undefined {
    if (event.type === "cut") return undefined;
    const { epoch, sequence } = event.version;
    if (event.type === "reset") {
      this.counts.resets++;
      if (!life.sharesResults) this.#raise(life, "", this.next());
    }
    // It may be the node's own invalidation, or one that stands for another.
    if (event.type === "invalidated") this.#raise(life, event.tag, this.#requested(event.id, event.tag)?.moment ?? 0);
    // A node that follows stands where the last event left it. For other events, the stream may have given the sequence
    // twice: the message that reached the node shows in which log.
    const standsIn = event.type === "following" ? life.standsIn : undefined;
    const log = standsIn ?? life.arrived.get(sequence) ?? this.#logs.now(createdOf(epoch));
    life.standsIn = log;
    const before = log.reportedUpTo(life.reported);
    if (sequence > before) life.reported.set(log, sequence);
    const later = new Set<string>();
    for (const taken of log.taken.toReversed()) {
      // A node that follows has applied the superseded invalidations too.
      if (taken.sequence <= before && event.type !== "following") break;
      if (taken.sequence > sequence) later.add(taken.tag);
      else if (event.type === "following" || !later.has(taken.tag)) this.#raise(life, taken.tag, taken.moment);
    }
    return { log, sequence };
  }

  /**
   * Whether the bus of `life` has reported everything up to `sequence` of the stream made at `created`, in the log that
   * the stream writes now.
   */
  hasReported(life: NodeLife, created: string, sequence: number): boolean {
    return this.#logs.now(created).reportedUpTo(life.reported) >= sequence;
  }

  /**
   * A user of `life` calls `invalidate(tag)` now. The id of the publication must be drawn before anything else happens:
   * it gets the current moment, which must be the moment of this invalidation.
   */
  invalidates(life: NodeLife, tag: string): { readonly issued: Issued; readonly call: Call } {
    const call = this.began(life, `invalidate ${tag}`);
    return { issued: this.#issue(life, tag), call };
  }

  #issue(life: NodeLife, tag: string): Issued {
    const issued: Issued = { life, tag, moment: this.next(), keptBy: undefined, holder: life, isExempt: false };
    this.counts.invalidations++;
    this.issued.push(issued);
    this.#raise(life, tag, issued.moment);
    return issued;
  }

  // ---- Calls

  began(life: NodeLife, what: string): Call {
    this.counts.calls++;
    this.next();
    this.#becomeDue();
    for (const [tag, moment] of this.#dueFloors) this.#raise(life, tag, moment);
    for (const { taken } of this.#excused) if (this.#isDue(taken, life)) this.#raise(life, taken.tag, taken.moment);
    const call: Call = { life, what, beganMs: this.#options.now(), floors: new Map(life.floors) };
    this.#open.add(call);
    return call;
  }

  /** A call resolved with `made`. Undefined: its result cannot be checked. */
  ended(call: Call, made: Made | undefined): void {
    if (!this.#open.delete(call)) return;
    this.#checkTime(call);
    if (made === undefined) return;
    this.counts.served++;
    this.#checkMarks(made, call.floors, "a call gets nothing older than an invalidation that was applied before it", {
      node: call.life.node,
      life: call.life.number,
      what: call.what,
    });
  }

  /** A tier gives `made`, which must not be older than `floors`. */
  found(where: string, key: string, made: Made, floors: ReadonlyMap<string, number>): void {
    this.#checkMarks(made, floors, "no tier keeps a result older than an invalidation", { where, key });
  }

  /** Checks that no open call has taken too long. */
  checkOpen(): void {
    for (const call of this.#open) this.#checkTime(call);
  }

  // ---- At the end

  /** The floors that must hold at every node, now that all nodes follow; with `life`, the floors at its node. */
  finalFloors(life?: NodeLife): ReadonlyMap<string, number> {
    this.#settleLosses();
    const floors = new Map<string, number>();
    for (const issued of this.issued) {
      if ((issued.isExempt && !this.#isThere(issued)) || (life !== undefined && this.#isExcused(life, issued))) continue;
      floors.set(issued.tag, Math.max(floors.get(issued.tag) ?? 0, issued.moment));
    }
    return floors;
  }

  /**
   * The floors of a tier whose position is `sequence`. `reported`: everything that its node's bus has reported of this
   * stream until then. Invalidations that were taken later, or in a log of which nothing was reported, do not count.
   */
  floorsAt(sequence: number, reported: readonly StreamPosition[]): Map<string, number> {
    const ends = new Map<StreamLog<Taken>, number>();
    for (const { log, sequence: upTo } of reported) ends.set(log, Math.max(Math.min(sequence, upTo), ends.get(log) ?? 0));
    const floors = new Map<string, number>();
    for (const [log, end] of ends) {
      for (const { sequence: own, tag, moment } of log.taken) if (own <= end) floors.set(tag, Math.max(floors.get(tag) ?? 0, moment));
    }
    return floors;
  }

  /** Exempts each lost invalidation that no live node knows of. */
  #settleLosses(): void {
    // A node that received a lost invalidation notices the loss. A node that received only lost heartbeats may not
    // notice: the stream gives their sequences again.
    const knows = (life: NodeLife, { log, lost: [first] }: Loss) =>
      first !== undefined && log.reportedUpTo(life.reported) >= first.sequence;
    const gone = this.#losses.filter((loss) => !loss.alive.some((life) => !life.isOver && knows(life, loss))).flatMap(({ lost }) => lost);
    if (gone.length === 0) return;
    for (const issued of this.issued) {
      if (!gone.some((taken) => isFor(taken, issued))) continue;
      issued.isExempt ||= !this.#isThere(issued);
    }
  }

  /** Whether a stream took the invalidation, or a later one that covers it, and still has it. */
  #isThere({ tag, moment }: Issued): boolean {
    return this.#taken.some((taken) => !taken.isLost && taken.moment >= moment && isUnder(tag, taken.tag));
  }

  #raise(life: NodeLife, tag: string, moment: number): void {
    if (moment > (life.floors.get(tag) ?? 0)) life.floors.set(tag, moment);
  }

  #becomeDue(): void {
    const untilMs = this.#options.now() - this.#options.staleMsMax;
    for (let taken = this.#taken[this.#due]; taken !== undefined && taken.takenMs < untilMs; taken = this.#taken[++this.#due]) {
      if (!taken.isLost && taken.excused.size === 0)
        this.#dueFloors.set(taken.tag, Math.max(this.#dueFloors.get(taken.tag) ?? 0, taken.moment));
    }
  }

  #isDue({ takenMs, excused }: Taken, life: NodeLife): boolean {
    return Math.max(takenMs, excused.get(life) ?? takenMs) < this.#options.now() - this.#options.staleMsMax;
  }

  /** Whether `life` has received no copy of the publication for `issued`, and will receive none. */
  #isExcused(life: NodeLife, issued: Issued): boolean {
    const copies = this.#taken.filter((taken) => isFor(taken, issued));
    const own = copies.filter(({ moment }) => moment === issued.moment);
    // A publisher that still runs repeats its number, so that every node notices in the end.
    const isMissed = (taken: Taken) => taken.excused.get(life) === Infinity && taken.life.isOver;
    if (!(own.length > 0 ? own : copies).some(isMissed)) return false;
    return !this.#taken.some((taken) => taken.moment >= issued.moment && isUnder(issued.tag, taken.tag) && !isMissed(taken));
  }

  #checkMarks(made: Made, floors: ReadonlyMap<string, number>, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    for (const [tag, moment] of made.marks) {
      for (const above of pathOf(tag)) {
        const floor = floors.get(above) ?? 0;
        if (moment >= floor || (above === tag && this.#isSetAfter(tag, moment, floor))) continue;
        this.violated(11, sentence, { ...facts, tag, began: moment, invalidated: above, at: floor });
        return;
      }
    }
  }

  /**
   * Whether `moment` is that of a `set` of the key with tag `tag`, and all invalidations of the key between it and
   * `floor` come before it in the stream: other nodes requested them while the set was under way.
   */
  #isSetAfter(tag: string, moment: number, floor: number): boolean {
    const set = this.issued.find((issued) => issued.moment === moment && issued.tag === tag);
    if (set === undefined) return false;
    const lastTaken = (issued: Issued) => this.#taken.findLastIndex((taken) => isFor(taken, issued));
    const setAt = lastTaken(set);
    return this.issued
      .filter((issued) => issued.tag === tag && issued.moment > moment && issued.moment <= floor)
      .every((issued) => {
        const at = lastTaken(issued);
        return issued.life.node !== set.life.node && at !== -1 && (setAt === -1 || at < setAt);
      });
  }

  #checkTime({ life, what, beganMs }: Call): void {
    const tookMs = this.#options.now() - beganMs;
    if (tookMs <= this.#options.callMsMax || life.isOver) return;
    this.violated(12, "every call is over in time", { node: life.node, life: life.number, what, tookMs });
  }
}

/**
 * Whether `taken` may be a publication for `issued`: a parent requested earlier, or, in a later life, an invalidation
 * that the disk kept.
 */
function isFor(taken: Taken, issued: Issued): boolean {
  if (taken.life.node !== issued.life.node || !isUnder(issued.tag, taken.tag)) return false;
  return taken.life === issued.life ? taken.moment <= issued.moment : taken.life.number > issued.life.number;
}

/** `tag`, and all tags above it up to the root. */
export function pathOf(tag: string): readonly string[] {
  const path = [tag];
  for (let end = tag.lastIndexOf(":"); end !== -1; end = tag.lastIndexOf(":", end - 1)) path.push(tag.slice(0, end));
  if (tag !== "") path.push("");
  return path;
}

export function isUnder(tag: string, above: string): boolean {
  return above === "" || tag === above || tag.startsWith(`${above}:`);
}

/** Creation time of the stream in which an epoch of the bus counts. */
export const createdOf = (epoch: string): string => epoch.slice(epoch.indexOf(" ") + 1);
