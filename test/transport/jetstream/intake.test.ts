import { expect, test } from "vitest";
import { SimulatedClock } from "../../../testing/index.js";
import { countsAnew, StreamIntake } from "../../../transport/jetstream/intake.js";
import type { BusWord, Delivery } from "../../../transport/jetstream/messages.js";
import type { BusEvent } from "../../../transport/index.js";
import { asTag, limits, silentLog } from "../../../core/index.js";

const record = { id: "e", sequence: 5, time: 0, payload: new Uint8Array(0) };
const begun = { epoch: "e created", sequence: 10, time: 1_000 };

/** An intake that stands at 10 of history `e`, whose record is at 5. */
function standing() {
  const events: BusEvent[] = [];
  const doubts: string[] = [];
  const intake: StreamIntake = new StreamIntake({
    clock: new SimulatedClock(),
    log: silentLog,
    notify: (event) => events.push(event),
    onDoubt: (reason) => {
      doubts.push(reason);
      intake.suspend();
    },
  });
  intake.goOnFrom(begun);
  intake.begin(begun, record);
  const tags = () => events.map((event) => (event.type === "invalidated" ? event.tag : event.type));
  return { intake, events, doubts, tags };
}

const at = (sequence: number, word: BusWord): Delivery => ({ sequence, time: 0, word });
const invalidation = (sequence: number, id = "id"): Delivery => at(sequence, { type: "invalidate", id, tag: asTag(`t:${sequence}`) });
const beat = (sequence: number, { epoch = begun.epoch, knew = sequence - 1 } = {}): Delivery => at(sequence, { type: "beat", epoch, knew });

test("the next message is delivered, a late copy is not, and after a gap no message is until it is filled", () => {
  const { intake, tags, doubts } = standing();
  expect([11, 11, 10, 14, 13].map((sequence) => intake.receive(invalidation(sequence)))).toEqual([true, true, true, false, false]);
  expect(tags()).toEqual(["t:11"]);
  intake.takeReplayed(invalidation(12));
  expect(tags()).toEqual(["t:11", "t:12", "t:13", "t:14"]);
  expect(doubts).toEqual([]);
});

test("messages that a replay passes over were superseded", () => {
  const { intake, tags } = standing();
  for (const sequence of [9, 15, 15, 20]) intake.takeReplayed(invalidation(sequence));
  expect(tags()).toEqual(["t:15", "t:20"]);
});

test("a position that a publisher claims to know raises no doubt while the stream goes on", () => {
  const { intake, doubts, tags } = standing();
  intake.receive(beat(11, { knew: 2 ** 53 - 2 }));
  intake.receive(beat(12, { epoch: "another", knew: 5 }));
  intake.takeReplayed(beat(13, { knew: 13 }));
  expect(doubts).toEqual([]);
  expect(tags()).toEqual(["heartbeat", "heartbeat", "heartbeat"]);
});

test("a heartbeat below the position raises a doubt if it cannot be a copy of an earlier one", () => {
  for (const [came, isDoubted] of [
    [beat(8), false],
    [beat(8, { knew: 9 }), true],
    [beat(8, { epoch: "anew" }), true],
    [{ ...beat(8), time: begun.time + 1_000 }, true],
  ] as const) {
    const { intake, doubts } = standing();
    intake.receive(came);
    expect(doubts).toEqual(isDoubted ? [countsAnew] : []);
  }
});

test("a heartbeat raises a doubt if the broker counts another heartbeat before it than the last that was received", () => {
  const after = (sequence: number, beatBefore: number | undefined): Delivery => ({ ...beat(sequence), beatBefore });
  for (const [came, isDoubted] of [
    [[after(11, 9), after(12, 11), after(13, undefined), after(14, 0)], false],
    [[after(11, 9), after(12, 10)], true],
    [[after(11, 9), invalidation(12), after(13, 12)], true],
    [[after(11, 9), after(13, 9)], false],
  ] as const) {
    const { intake, doubts } = standing();
    for (const each of came) intake.receive(each);
    expect(doubts).toEqual(isDoubted ? [countsAnew] : []);
  }
});

test("after a replay that passed over messages, the last heartbeat is not known", () => {
  const { intake, doubts } = standing();
  intake.receive(beat(11));
  intake.takeReplayed(invalidation(14));
  intake.receive({ ...beat(15), beatBefore: 13 });
  intake.receive({ ...beat(16), beatBefore: 14 });
  expect(doubts).toEqual([countsAnew]);
});

test("a time that the publisher may have written is bounded by the broker's clock and by earlier messages", () => {
  const { intake } = standing();
  intake.brokerAheadMs = 5_000;
  intake.receive({ ...invalidation(11), time: 1e15, isTimeDoubtful: true });
  expect(intake.position).toMatchObject({ time: 5_000 + limits.doubtfulTimeMsMax });
  intake.receive({ ...invalidation(12), time: 1, isTimeDoubtful: true });
  expect(intake.position).toMatchObject({ time: 5_000 + limits.doubtfulTimeMsMax });
});

test("a record of another history raises a doubt; a record of this history or an earlier one does not", () => {
  const { intake, doubts, tags } = standing();
  intake.begin(begun, { ...record, sequence: 13 });
  intake.receive(at(11, { type: "epoch", id: "earlier" }));
  intake.receive(invalidation(12));
  intake.receive(at(13, { type: "epoch", id: "e" }));
  expect(doubts).toEqual([]);
  expect(tags()).toEqual(["heartbeat", "t:12", "heartbeat"]);
  intake.receive(at(14, { type: "epoch", id: "later" }));
  expect(doubts).toHaveLength(1);
});

test("a stream that counts anew raises a doubt; a publisher that does not know the history yet does not", () => {
  const { intake, doubts, tags } = standing();
  intake.receive(beat(11, { epoch: "before" }));
  expect(tags()).toEqual(["heartbeat"]);
  intake.receive(beat(2, { epoch: "anew", knew: 1 }));
  expect(doubts).toHaveLength(1);
});

test("a begin with other invalidations is a reset, and messages held below it are dropped", () => {
  const { intake, tags } = standing();
  intake.suspend();
  for (const sequence of [18, 20, 21, 22]) intake.receive(invalidation(sequence));
  intake.begin({ ...begun, sequence: 20 }, record, { since: 21, invalidations: [] });
  expect(tags()).toEqual(["reset", "t:21", "t:22"]);
  expect(intake.last).toBe(22);
});

test("held messages are bounded, and a replay delivers the rest", () => {
  const { intake, events } = standing();
  const count = limits.earlyInvalidationsMax + 50;
  for (let n = 0; n < count; n++) intake.receive(invalidation(12 + n));
  intake.takeReplayed(invalidation(11));
  expect(events).toHaveLength(limits.earlyInvalidationsMax + 1);
  for (let n = 0; n < 50; n++) intake.takeReplayed(invalidation(12 + limits.earlyInvalidationsMax + n));
  expect(events).toHaveLength(count + 1);
});

test("a message without a time from the server gets one here, on the broker's clock", () => {
  const { intake } = standing();
  intake.brokerAheadMs = 5_000;
  intake.receive({ ...invalidation(11), time: Number.NaN });
  expect(intake.position).toMatchObject({ sequence: 11, time: 5_000 });
});

test("an invalidation at the sequence of another message shows that history went back; a late copy does not", () => {
  const other = (sequence: number): Delivery => at(sequence, { type: "invalidate", id: "other", tag: asTag("t") });
  const mine = (sequence: number): Delivery => at(sequence, { type: "invalidate", id: "id", tag: asTag("t") });
  for (const [earlier, came, isDoubted] of [
    [invalidation(11), mine(11), false],
    [invalidation(11), other(11), true],
    [beat(11), mine(11), true],
    // Before the position at which this node began only the time shows it.
    [invalidation(11), mine(9), false],
    [invalidation(11), { ...mine(9), time: 5_000 }, true],
  ] as const) {
    const { intake } = standing();
    intake.receive(earlier);
    expect(intake.isContradictedBy(came)).toBe(isDoubted);
  }
});

test("a stream that counts anew without a lost link is noticed at the first unknown invalidation", () => {
  const { intake, doubts } = standing();
  for (const sequence of [11, 12, 13]) intake.receive(invalidation(sequence));
  intake.receive(at(12, { type: "invalidate", id: "another", tag: asTag("t:new") }));
  expect(doubts).toEqual([countsAnew]);
});
