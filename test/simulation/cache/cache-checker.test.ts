import { beforeEach, describe, expect, test } from "vitest";
import { historyHeader } from "../../../testing/simulated-stream.js";
import { tagTokens, writeBusWord } from "../../../transport/jetstream/messages.js";
import { CacheChecker, type Made, type NodeLife, type StreamPosition } from "./cache-checker.js";

const created = "2026";
const epoch = `e ${created}`;

/** Two nodes and a stream. The tests report false results to the checker. */
describe("checker of the cache", () => {
  let nowMs = 0;
  let checker: CacheChecker;
  let one: NodeLife;
  let two: NodeLife;
  let sequence = 0;
  /** Name of the history in which the stream gives its sequences. */
  let history = "before";

  beforeEach(() => {
    nowMs = 0;
    sequence = 0;
    history = "before";
    checker = new CacheChecker({ now: () => nowMs, staleMsMax: 1_000, callMsMax: 500 });
    one = checker.born("one", 1);
    two = checker.born("two", 1);
  });

  const made = (tag: string, moment = checker.next()): Made => ({ run: 0, marks: [[tag, moment]], rows: {} });
  const version = (at: number) => ({ epoch, sequence: at, time: 0 });

  /** `life` invalidates `tag`, and the stream takes it. */
  function invalidate(life: NodeLife, tag: string): string {
    const id = `${life.node}-${tag}-${sequence}`;
    checker.invalidates(life, tag);
    take(life, tag, id);
    return id;
  }

  /** The stream takes an invalidation of `life`, whose id is drawn now. */
  function take(life: NodeLife, tag: string, id: string): void {
    checker.drawn(life, id);
    const payload = writeBusWord({ type: "invalidate", epoch, knew: 0, id, tag });
    append(tagTokens(tag), payload);
  }

  function append(tokens: string, payload: Uint8Array): void {
    const headers = { [historyHeader]: history };
    const facts = { subject: `zooid.sim.inv.${tokens}`, headers, timeMs: 0, followerAtMs: 0, stream: "S", created };
    checker.took({ ...facts, sequence: ++sequence, payload });
  }

  /** The stream takes a heartbeat. */
  const beat = () => append("beat", writeBusWord({ type: "beat", epoch, knew: 0 }));

  /** The bus of `life` reports a heartbeat. */
  function heartbeat(life: NodeLife, at: number): StreamPosition {
    const reported = checker.reported(life, { type: "heartbeat", version: version(at) });
    if (reported === undefined) throw new Error("a heartbeat has a position");
    return reported;
  }

  const serve = (life: NodeLife, result: Made) => checker.ended(checker.began(life, "call"), result);
  const sentences = () => checker.violations.map(({ promise, message }) => `${promise} ${message.replace(/^promise \d+: | \{.*/g, "")}`);
  const stale = "11 a call gets nothing older than an invalidation that was applied before it";

  test("a correct run has no violations", () => {
    serve(one, made("r:a"));
    const overlapping = checker.began(one, "overlaps");
    const before = made("r:a");
    const id = invalidate(one, "r");
    checker.ended(overlapping, before);
    // The other node's bus has not reported it yet.
    serve(two, before);
    serve(one, made("r:a"));
    serve(one, made("other", 1));
    checker.reported(two, { type: "invalidated", tag: "r", id, version: version(1) });
    serve(two, made("r:a"));
    expect(checker.violations).toEqual([]);
  });

  test.each(["r:a", "r", ""])("a result older than the node's own invalidation of %j is reported", (tag) => {
    const old = made("r:a");
    invalidate(one, tag);
    serve(one, old);
    expect(sentences()).toEqual([stale]);
  });

  test("a result computed from a stale and a valid result is reported", () => {
    const old = checker.next();
    invalidate(one, "r:a");
    serve(one, {
      run: 0,
      marks: [
        ["r:b", checker.next()],
        ["r:a", old],
      ],
      rows: {},
    });
    expect(sentences()).toEqual([stale]);
  });

  test("a result older than an invalidation that the bus reported or passed over is reported", () => {
    for (const event of ["invalidated", "heartbeat", "following"] as const) {
      const old = made("r:a");
      const id = invalidate(one, "r:a");
      checker.reported(
        two,
        event === "invalidated" ? { type: event, tag: "r:a", id, version: version(sequence) } : { type: event, version: version(sequence) },
      );
      serve(two, old);
    }
    expect(sentences()).toEqual([stale, stale, stale]);
  });

  test("a superseded invalidation counts with the later one while a node catches up, and always once it follows", () => {
    const old = made("r:a");
    invalidate(one, "r:a");
    const id = invalidate(one, "r:b");
    const before = sequence;
    invalidate(one, "r:a");
    checker.reported(two, { type: "invalidated", tag: "r:b", id, version: version(before) });
    serve(two, old);
    expect(sentences()).toEqual([]);
    checker.reported(two, { type: "following", version: version(before) });
    serve(two, old);
    expect(sentences()).toEqual([stale]);
  });

  test("a sequence that the stream has lost and given again does not count as reported", () => {
    for (const tag of ["r:a", "r:b"]) invalidate(one, tag);
    heartbeat(two, sequence);
    expect(checker.hasReported(two, created, sequence)).toBe(true);
    checker.lost(created, sequence - 1, [one, two]);
    sequence -= 1;
    history = "after";
    invalidate(one, "r:c");
    expect(checker.hasReported(two, created, sequence)).toBe(false);
    expect(checker.hasReported(two, created, sequence - 1)).toBe(true);
  });

  test("a result from before a reset is reported", () => {
    const old = made("r:a");
    checker.reported(two, { type: "reset", version: version(0) });
    serve(two, old);
    expect(sentences()).toEqual([stale]);
  });

  test("a node that is cut off and serves stale results for longer than it may is reported", () => {
    const old = made("r:a");
    invalidate(one, "r:a");
    nowMs = 999;
    serve(two, old);
    expect(sentences()).toEqual([]);
    nowMs = 1_001;
    serve(two, old);
    expect(sentences()).toEqual([stale]);
  });

  test("a lost invalidation counts where it was reported, and in the end if a live node knows of it", () => {
    const old = made("r:a");
    const id = invalidate(one, "r:a");
    checker.reported(one, { type: "invalidated", tag: "r:a", id, version: version(1) });
    for (const issued of checker.issued) issued.keptBy = "bus";
    checker.lost(created, 0, [one, two]);
    nowMs = 5_000;
    serve(two, old);
    expect(sentences()).toEqual([]);
    expect(checker.finalFloors().has("r:a")).toBe(true);
    checker.died(one);
    expect(checker.finalFloors().has("r:a")).toBe(false);
  });

  test("a lost invalidation that no live node knows of is exempt, also when its process published it again after a restart", () => {
    const published = invalidate(one, "r:a");
    checker.reported(one, { type: "invalidated", tag: "r:a", id: published, version: version(1) });
    checker.invalidates(one, "r:b").issued.keptBy = "disk";
    for (const issued of checker.issued) issued.keptBy = "bus";
    checker.died(one);
    const again = checker.born("one", 2);
    take(again, "r:b", "again");
    checker.reported(again, { type: "invalidated", tag: "r:b", id: "again", version: version(2) });
    checker.lost(created, 0, [again]);
    expect([...checker.finalFloors().keys()].toSorted()).toEqual(["r:a", "r:b"]);
    checker.died(again);
    expect([...checker.finalFloors().keys()]).toEqual([]);
  });

  test("a node that received a higher sequence, but no lost invalidation, need not notice the loss", () => {
    heartbeat(two, 6);
    checker.lost(created, 3, [one, two]);
    sequence = 4;
    invalidate(one, "r:a");
    for (const issued of checker.issued) issued.keptBy = "bus";
    heartbeat(one, 7);
    checker.lost(created, 4, [one, two]);
    expect(checker.finalFloors().has("r:a")).toBe(true);
    checker.died(one);
    expect(checker.finalFloors().has("r:a")).toBe(false);
  });

  test("an invalidation that died with its process does not count in the end; one that the disk promised to keep does, and in the next life too", () => {
    const [{ issued: forgotten }, { issued: kept }] = [checker.invalidates(one, "r:a"), checker.invalidates(one, "r:b")];
    kept.keptBy = "disk";
    checker.died(one);
    expect(forgotten.isExempt).toBe(true);
    expect([...checker.finalFloors().keys()]).toEqual(["r:b"]);
    const again = checker.born("one", 2, new Map([["r:b", kept.moment]]));
    serve(again, made("r:b", kept.moment - 1));
    expect(sentences()).toEqual([stale]);
  });

  test("an invalidation that a stream took counts in the end, though its process was killed before it knew", () => {
    const { issued } = checker.invalidates(one, "r:a");
    take(one, "r:a", "id");
    checker.died(one);
    expect(issued.isExempt).toBe(true);
    expect([...checker.finalFloors().keys()]).toEqual(["r:a"]);
    checker.lost(created, 0, [two]);
    expect([...checker.finalFloors().keys()]).toEqual([]);
  });

  test("an invalidation that waits on an erased disk dies with the process that has read it", () => {
    const waiting = ["r:a", "r:b"].map((tag) => checker.invalidates(one, tag).issued);
    for (const issued of waiting) issued.keptBy = "disk";
    checker.died(one);
    const again = checker.born("one", 2);
    checker.erased(again);
    expect([...checker.finalFloors().keys()].toSorted()).toEqual(["r:a", "r:b"]);
    checker.next();
    take(again, "r:b", "again");
    checker.died(again);
    expect([...checker.finalFloors().keys()]).toEqual(["r:b"]);
  });

  test("an invalidation that a later life publishes was requested when the earlier life requested it", () => {
    invalidate(one, "r:b");
    checker.invalidates(one, "r:a");
    checker.died(one);
    const fresh = made("r:a");
    const again = checker.born("one", 2);
    checker.next();
    checker.drawn(again, "left", true);
    append(tagTokens("r:a"), writeBusWord({ type: "invalidate", epoch, knew: 0, id: "left", tag: "r:a" }));
    checker.reported(two, { type: "invalidated", tag: "r:a", id: "left", version: version(2) });
    serve(two, fresh);
    expect(sentences()).toEqual([]);
    checker.drawn(again, "unrequested", true);
    append(tagTokens("r:c"), writeBusWord({ type: "invalidate", epoch, knew: 0, id: "unrequested", tag: "r:c" }));
    expect(sentences()).toEqual(["11 every published invalidation was requested"]);
  });

  test.each([true, false])(
    "the order of the stream decides which of two changes of a key that overlap is the later one: %s",
    (setIsLater) => {
      const key = ".key:k";
      const set = checker.invalidates(one, key).issued;
      const own: Made = { run: 0, marks: [[key, set.moment]], rows: {} };
      const takeSet = () => append(tagTokens(key), writeBusWord({ type: "invalidate", epoch, knew: 0, id: "set", tag: key }));
      checker.drawn(one, "set");
      if (!setIsLater) takeSet();
      const id = invalidate(two, key);
      checker.reported(one, { type: "invalidated", tag: key, id, version: version(sequence) });
      serve(one, own);
      if (setIsLater) takeSet();
      serve(one, own);
      expect(sentences()).toEqual(setIsLater ? [] : [stale, stale]);
    },
  );

  test("a node is excused from an invalidation that no stream keeps until it hears of the publisher, and for good only if the publisher is dead", () => {
    const old = made("r:a");
    const { issued } = checker.invalidates(one, "r:a");
    issued.keptBy = "bus";
    checker.drawn(one, "id");
    checker.published({ id: "id", tag: "r:a", publisher: "p1", number: 2 }, [two]);
    nowMs = 5_000;
    serve(two, old);
    checker.heard(two, "p1", 1);
    nowMs = 10_000;
    serve(two, old);
    expect(checker.finalFloors(two).has("r:a")).toBe(true);
    checker.died(one);
    expect(checker.finalFloors(two).has("r:a")).toBe(false);
    expect(checker.finalFloors(checker.born("three", 1)).has("r:a")).toBe(true);
    expect(sentences()).toEqual([]);
    checker.heard(two, "p1", 2);
    expect(checker.finalFloors(two).has("r:a")).toBe(true);
    nowMs = 12_000;
    serve(two, old);
    expect(sentences()).toEqual([stale]);
  });

  test("a disk that gives a result which is stale at the disk's position is reported", () => {
    const old = made("r:a");
    invalidate(one, "r:a");
    const reported = [heartbeat(two, 1)];
    checker.found("disk", "key", old, checker.floorsAt(0, reported));
    expect(sentences()).toEqual([]);
    checker.found("disk", "key", old, checker.floorsAt(1, reported));
    expect(sentences()).toEqual(["11 no tier keeps a result older than an invalidation"]);
  });

  test("a disk must respect a lost invalidation if its node's bus reported it before the loss", () => {
    const old = made("r:a");
    invalidate(one, "r:a");
    const before = heartbeat(one, 1);
    checker.lost(created, 0, [one, two]);
    checker.found("disk", "key", old, checker.floorsAt(1, [heartbeat(two, 1)]));
    expect(sentences()).toEqual([]);
    checker.found("disk", "key", old, checker.floorsAt(1, [before]));
    expect(sentences()).toEqual(["11 no tier keeps a result older than an invalidation"]);
  });

  test("a heartbeat in flight when its sequence was lost says nothing of the message that has the sequence now", () => {
    const [kept, anew] = [made("r:a"), made("r:b")];
    invalidate(one, "r:a");
    beat();
    checker.lost(created, 1, [one, two]);
    sequence = 1;
    history = "after";
    invalidate(one, "r:b");
    checker.arrived(two, "before", 2);
    const reported = [heartbeat(two, 2)];
    serve(two, anew);
    checker.found("disk", "key", anew, checker.floorsAt(2, reported));
    expect(sentences()).toEqual([]);
    serve(two, kept);
    expect(sentences()).toEqual([stale]);
    checker.arrived(two, "after", 2);
    reported.push(heartbeat(two, 2));
    serve(two, anew);
    checker.found("disk", "key", anew, checker.floorsAt(2, reported));
    expect(sentences()).toEqual([stale, stale, "11 no tier keeps a result older than an invalidation"]);
  });

  test("a node that receives an invalidation after its loss knows of it", () => {
    invalidate(one, "r:a");
    for (const issued of checker.issued) issued.keptBy = "bus";
    checker.lost(created, 0, [two]);
    checker.arrived(two, "before", 1);
    heartbeat(two, 1);
    expect(checker.finalFloors().has("r:a")).toBe(true);
    checker.died(two);
    expect(checker.finalFloors().has("r:a")).toBe(false);
  });

  test("calls that do not end, calls that end late, and a publication without a request are reported", () => {
    checker.began(one, "open");
    const late = checker.began(one, "late");
    nowMs = 501;
    checker.ended(late, undefined);
    checker.checkOpen();
    const payload = writeBusWord({ type: "invalidate", epoch, knew: 0, id: "foreign", tag: "t" });
    const facts = { subject: "zooid.sim.inv.tag.t", headers: {}, timeMs: 0, followerAtMs: 0, stream: "S", created };
    checker.took({ ...facts, sequence: 1, payload });
    expect(sentences()).toEqual([
      "12 every call is over in time",
      "12 every call is over in time",
      "11 every published invalidation was requested",
    ]);
  });
});
