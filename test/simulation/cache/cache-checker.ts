import type { BusEvent } from "../../../transport/index.js";
import { readBusWord } from "../../../transport/jetstream/messages.js";
import type { TakenMessage } from "../../../testing/simulated-jetstream.js";
import type { Judge } from "../common/stage.js";
import { historyHeader } from "../../../testing/simulated-stream.js";
import { Violation } from "../common/violation.js";
import { type StreamLog, StreamLogs, type Told } from "./stream-log.js";

/** A result, as it tells what it was made of: for each tag it depends on, the moment its computation began; for each row, the version it read. */
export interface Made {
  /** Number of the computation that made it; 0: none did. */
  readonly run: number;
  readonly marks: readonly (readonly [tag: string, moment: number])[];
  readonly rows: Readonly<Record<string, number>>;
}

/** One life of a process that has a cache. */
export interface NodeLife {
  readonly node: string;
  readonly number: number;
  /** By tag: what is under it and is older than this is stale here. Only rises. */
  readonly floors: Map<string, number>;
  /** Up to where its bus said that all of a log was told. */
  readonly told: Map<StreamLog<Taken>, number>;
  /** By number: the log of the message with it that reached the node last. */
  readonly arrived: Map<number, StreamLog<Taken>>;
  /** The log that the last event of its bus counts in. */
  standsIn: StreamLog<Taken> | undefined;
  /** It uses what other nodes computed: before a reset of its own, but after what they have in common. */
  readonly sharesResults: boolean;
  isOver: boolean;
}

/** A call while it is under way. */
export interface Call {
  readonly life: NodeLife;
  readonly what: string;
  readonly beganMs: number;
  readonly floors: ReadonlyMap<string, number>;
}

/** An invalidation that somebody asked for. */
export interface Issued {
  readonly life: NodeLife;
  readonly tag: string;
  readonly moment: number;
  /** What outlives its process was promised to have it; undefined: only the process itself has. */
  keptBy: "bus" | "disk" | undefined;
  /** The process that has it in its memory. */
  holder: NodeLife;
  /** Its holder was killed while nothing else had it, or a power failure took it from the broker and nobody who knew of it is left. */
  isExempt: boolean;
}

export interface Taken {
  /** Who asked for it. */
  readonly life: NodeLife;
  readonly sequence: number;
  readonly tag: string;
  readonly moment: number;
  readonly takenMs: number;
  /** A power failure took it. */
  isLost: boolean;
  /**
   * Nodes that nothing may have told of it, and nothing tells of its publisher, as no stream keeps it: when they heard of that publisher again;
   * Infinity before that.
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

/** Up to where a node was told all of what a stream took. */
export type ToldOfStream = Told<Taken>;

/** Invalidations that a power failure took from the end of a log, and who was there and may have been told of them, then or later. */
interface Loss {
  readonly log: StreamLog<Taken>;
  readonly lost: readonly Taken[];
  readonly alive: readonly NodeLife[];
}

export interface CacheCheckerOptions {
  /** Monotonic time of the world. */
  readonly now: () => number;
  /** So long after the stream took it, at most, an invalidation is found in what any node serves, cut off or not. */
  readonly staleMsMax: number;
  /** Every call is over by then. */
  readonly callMsMax: number;
}

/**
 * Holds what nodes serve to promise 11. Moments are counted, one for each thing that happens: a result carries those at which the
 * computations it was made of began, an invalidation the one at which it was asked for.
 *
 * 1. Applied here: own from the call on; one of the bus once the node's bus reported it, or anything that the stream took after it, in the same log.
 *    While a node catches up, one that a later one of its tag has superseded is applied with that later one; all are once it follows. A call that
 *    begins then gets nothing that began before the invalidation was asked for.
 * 2. Cut off: the same, `staleMsMax` after the stream took it, whatever the node heard.
 * 3. Persistent: what was promised on disk counts in the next life of the process. A disk that has failed promises nothing more.
 */
export class CacheChecker implements Judge {
  readonly violations: Violation[] = [];
  readonly counts = { calls: 0, served: 0, invalidations: 0, taken: 0, resets: 0, lost: 0, kills: 0, excused: 0 };
  readonly issued: Issued[] = [];
  readonly #options: CacheCheckerOptions;
  readonly #open = new Set<Call>();
  /** Moments at which ids of invalidations were drawn. */
  readonly #ids = new Map<string, { readonly life: NodeLife; readonly moment: number }>();
  readonly #logs = new StreamLogs<Taken>();
  /** In the order of taking, over all streams. */
  readonly #taken: Taken[] = [];
  /** How many of those every node must have found by now. */
  #due = 0;
  readonly #dueFloors = new Map<string, number>();
  /** Those that some nodes are excused from. */
  readonly #excused: { readonly taken: Taken; readonly publisher: string; readonly number: number }[] = [];
  readonly #losses: Loss[] = [];
  #moment = 0;

  constructor(options: CacheCheckerOptions) {
    this.#options = options;
  }

  violated(promise: number, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    this.violations.push(new Violation(promise, sentence, facts));
  }

  /** Something happens. */
  next(): number {
    return ++this.#moment;
  }

  /** `life` drew `id`: what is published under it was asked for at the moment of the last event. */
  drawn(life: NodeLife, id: string): void {
    this.#ids.set(id, { life, moment: this.#moment });
  }

  // ---- The stream

  /** A stream took a message. */
  took({ subject, payload, sequence, created, headers }: TakenMessage): void {
    const log = this.#logs.writes(created, headers[historyHeader] ?? "");
    const [, tokens] = subject.split(".inv.");
    if (tokens === undefined) return;
    const word = readBusWord(tokens, payload);
    if (word.type !== "invalidate") return;
    const drawn = this.#ids.get(word.id);
    if (drawn === undefined) {
      this.violated(11, "what is published was asked for", { id: word.id, tag: word.tag });
      return;
    }
    const taken: Taken = { ...drawn, sequence, tag: word.tag, takenMs: this.#options.now(), isLost: false, excused: new Map() };
    this.counts.taken++;
    this.#taken.push(taken);
    log.taken.push(taken);
  }

  /** A broker without a stream took an invalidation. `excused`: who may miss it until it hears of the publisher again. */
  published({ id, tag, publisher, number }: PlainPublication, excused: readonly NodeLife[]): void {
    const drawn = this.#ids.get(id);
    if (drawn === undefined) {
      this.violated(11, "what is published was asked for", { id, tag });
      return;
    }
    const takenMs = this.#options.now();
    const never = new Map(excused.map((life) => [life, Infinity] as const));
    const taken: Taken = { ...drawn, sequence: 0, tag, takenMs, isLost: false, excused: never };
    this.counts.taken++;
    this.counts.excused += excused.length;
    this.#taken.push(taken);
    if (excused.length > 0) this.#excused.push({ taken, publisher, number });
  }

  /** `life` heard of `publisher`, which had published `number` invalidations. */
  heard(life: NodeLife, publisher: string, number: number): void {
    for (const each of this.#excused) {
      const { excused } = each.taken;
      if (each.publisher !== publisher || each.number > number || excused.get(life) !== Infinity) continue;
      excused.set(life, this.#options.now());
    }
  }

  /** A power failure took what `created` had after `sequence`. `alive`: the nodes that may know of it, now or once they have heard what is under way. */
  lost(created: string, sequence: number, alive: readonly NodeLife[]): void {
    const log = this.#logs.lost(created, sequence);
    const lost = log.taken.filter((taken) => taken.sequence > sequence);
    if (lost.length === 0) return;
    this.counts.lost += lost.length;
    for (const taken of lost) taken.isLost = true;
    this.#losses.push({ log, lost, alive });
  }

  // ---- Nodes

  /** A process began. `kept`: invalidations that its disk has from an earlier one. */
  born(node: string, number: number, kept: ReadonlyMap<string, number> = new Map(), sharesResults = false): NodeLife {
    return { node, number, floors: new Map(kept), told: new Map(), arrived: new Map(), standsIn: undefined, sharesResults, isOver: false };
  }

  /** A process was killed, or closed. */
  died(life: NodeLife): void {
    life.isOver = true;
    for (const call of this.#open) if (call.life === life) this.#open.delete(call);
    for (const issued of this.issued) if (issued.holder === life && issued.keptBy === undefined) issued.isExempt = true;
  }

  /** All that was on the disk of `life` was removed, as the disk had failed: what waits to be published is in its memory only. */
  erased(life: NodeLife): void {
    for (const issued of this.issued) {
      if (issued.life.node !== life.node || issued.keptBy !== "disk") continue;
      issued.keptBy = undefined;
      issued.holder = life;
    }
  }

  /** A message that a stream took in `history` has reached `life`. */
  arrived(life: NodeLife, history: string, sequence: number): void {
    const log = this.#logs.of(history);
    if (log !== undefined) life.arrived.set(sequence, log);
  }

  /** The link of `life` was lost, or is a new one: what reached the node before and was not told then never will be. */
  relinked(life: NodeLife): void {
    life.arrived.clear();
  }

  /** What the node's bus told, after the cache was told. Returns up to where the node has been told all, and of which log. */
  told(life: NodeLife, event: BusEvent): ToldOfStream | undefined {
    if (event.type === "cut") return undefined;
    const { epoch, sequence } = event.version;
    if (event.type === "reset") {
      this.counts.resets++;
      if (!life.sharesResults) this.#raise(life, "", this.next());
    }
    // One of its own, or one that stands for another.
    if (event.type === "invalidated") this.#raise(life, event.tag, this.#ids.get(event.id)?.moment ?? 0);
    // A node follows from where the last event left it. Else the number may have been given twice: the message that reached the node tells in which log.
    const standsIn = event.type === "following" ? life.standsIn : undefined;
    const log = standsIn ?? life.arrived.get(sequence) ?? this.#logs.now(createdOf(epoch));
    life.standsIn = log;
    const before = log.toldUpTo(life.told);
    if (sequence > before) life.told.set(log, sequence);
    const later = new Set<string>();
    for (const taken of log.taken.toReversed()) {
      // Once a node follows, it has applied the superseded ones too.
      if (taken.sequence <= before && event.type !== "following") break;
      if (taken.sequence > sequence) later.add(taken.tag);
      else if (event.type === "following" || !later.has(taken.tag)) this.#raise(life, taken.tag, taken.moment);
    }
    return { log, sequence };
  }

  /** Whether the bus of `life` has reported all that the stream made at `created` has up to `sequence`, under the numbers that it gives now. */
  hasReported(life: NodeLife, created: string, sequence: number): boolean {
    return this.#logs.now(created).toldUpTo(life.told) >= sequence;
  }

  /**
   * Somebody in `life` calls `invalidate(tag)`, now. The id of what is published must be drawn before anything else happens: it bears the
   * moment of the last event, which must be the one of this invalidation.
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

  /** A call gave `made`; undefined: nothing that could be checked. */
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

  /** Nothing that a tier gives is older than what counts for it. */
  found(where: string, key: string, made: Made, floors: ReadonlyMap<string, number>): void {
    this.#checkMarks(made, floors, "no tier keeps what is older than an invalidation", { where, key });
  }

  /** Calls that should be over are. */
  checkOpen(): void {
    for (const call of this.#open) this.#checkTime(call);
  }

  // ---- At the end

  /** All that must count at every node, now that all follow; at that of `life`, if it is given. */
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
   * What counts for a tier that stands at `sequence`; `told`: all that its node was told of that stream until then. What was taken later, or in
   * a log of which the node was told nothing, is not in it.
   */
  floorsAt(sequence: number, told: readonly ToldOfStream[]): Map<string, number> {
    const ends = new Map<StreamLog<Taken>, number>();
    for (const { log, sequence: upTo } of told) ends.set(log, Math.max(Math.min(sequence, upTo), ends.get(log) ?? 0));
    const floors = new Map<string, number>();
    for (const [log, end] of ends) {
      for (const { sequence: own, tag, moment } of log.taken) if (own <= end) floors.set(tag, Math.max(floors.get(tag) ?? 0, moment));
    }
    return floors;
  }

  /** Of what was lost, all counts that somebody knew who is still there to tell. */
  #settleLosses(): void {
    // A node that has heard one of the lost invalidations notices the loss. A node that has heard only lost heartbeats may not: the stream gives their numbers again.
    const knows = (life: NodeLife, { log, lost: [first] }: Loss) => first !== undefined && log.toldUpTo(life.told) >= first.sequence;
    const gone = this.#losses.filter((loss) => !loss.alive.some((life) => !life.isOver && knows(life, loss))).flatMap(({ lost }) => lost);
    if (gone.length === 0) return;
    for (const issued of this.issued) {
      if (!gone.some((taken) => isFor(taken, issued))) continue;
      issued.isExempt ||= !this.#isThere(issued);
    }
  }

  /** A stream took it, or one that covers it, and has not lost that. */
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

  /** Nothing has told `life` of any copy of what was published for `issued`, and nothing will. */
  #isExcused(life: NodeLife, issued: Issued): boolean {
    const copies = this.#taken.filter((taken) => isFor(taken, issued));
    const own = copies.filter(({ moment }) => moment === issued.moment);
    // A publisher that still runs sends its number again, so every node notices in the end.
    const isMissed = (taken: Taken) => taken.excused.get(life) === Infinity && taken.life.isOver;
    if (!(own.length > 0 ? own : copies).some(isMissed)) return false;
    return !this.#taken.some((taken) => taken.moment >= issued.moment && isUnder(issued.tag, taken.tag) && !isMissed(taken));
  }

  #checkMarks(made: Made, floors: ReadonlyMap<string, number>, sentence: string, facts: Readonly<Record<string, unknown>>): void {
    for (const [tag, moment] of made.marks) {
      for (const above of pathOf(tag)) {
        const floor = floors.get(above) ?? 0;
        if (moment >= floor) continue;
        this.violated(11, sentence, { ...facts, tag, began: moment, invalidated: above, at: floor });
        return;
      }
    }
  }

  #checkTime({ life, what, beganMs }: Call): void {
    const tookMs = this.#options.now() - beganMs;
    if (tookMs <= this.#options.callMsMax || life.isOver) return;
    this.violated(12, "every call is over in time", { node: life.node, life: life.number, what, tookMs });
  }
}

/** Whether `taken` may have been published for `issued`: a parent that was asked for before, or, in a later life, what its disk kept. */
function isFor(taken: Taken, issued: Issued): boolean {
  if (taken.life.node !== issued.life.node || !isUnder(issued.tag, taken.tag)) return false;
  return taken.life === issued.life ? taken.moment <= issued.moment : taken.life.number > issued.life.number;
}

/** `tag`, and all above it up to the root. */
export function pathOf(tag: string): readonly string[] {
  const path = [tag];
  for (let end = tag.lastIndexOf(":"); end !== -1; end = tag.lastIndexOf(":", end - 1)) path.push(tag.slice(0, end));
  if (tag !== "") path.push("");
  return path;
}

export function isUnder(tag: string, above: string): boolean {
  return above === "" || tag === above || tag.startsWith(`${above}:`);
}

/** Creation time of the stream that an epoch of the bus counts in. */
export const createdOf = (epoch: string): string => epoch.slice(epoch.indexOf(" ") + 1);
