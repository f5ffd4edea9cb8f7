import { describe, expect, test } from "vitest";
import {
  ConflictError,
  DisconnectedError,
  MalformedMessageError,
  ServerBusyError,
  TransactionAbortedError,
  TransactionTimedOutError,
  UnknownSessionError,
} from "../../../core/index.js";
import { serverWorld, type WorldOptions } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";
import { type CommitParts, newId, textOf } from "../../support/wire-client.js";

/** Two clients, after one commit. */
async function world(options: WorldOptions = {}) {
  const made = await serverWorld({ transactionTimeoutMs: 5_000, ...options });
  const first = await made.client("first");
  const { tid: snapshot } = await first.commit({ writes: { a: "0", b: "0" } });
  await first.register({ client: "first" });
  const second = await made.client("second");
  return { ...made, first, second, snapshot };
}

describe("a voted transaction", () => {
  test("commits when it is finished, and not before", async () => {
    const { first, second, snapshot } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    expect(second.invalidated).toEqual([]);
    expect(textOf((await second.load(snapshot, "a")).revisions[0]?.value)).toBe("0");
    const committed = await first.finish(id);
    expect(textOf((await second.load(committed.tid, "a")).revisions[0]?.value)).toBe("1");
    expect(second.invalidated.map(({ tid }) => tid)).toEqual([committed.tid]);
  });

  test("is refused when validation fails, and then holds nothing", async () => {
    const { first, second, snapshot } = await world();
    await second.commit({ writes: { a: "1" } });
    await expect(first.vote({ snapshot, reads: ["a"], writes: { b: "1" } })).rejects.toThrow(ConflictError);
    await second.commit({ writes: { b: "2" } });
  });

  test("gets its tid when it is written, after commits that came between", async () => {
    const { first, second } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    const between = await second.commit({ writes: { c: "1" } });
    expect((await first.finish(id)).previous).toBe(between.tid);
  });

  const range = { from: "r", to: "s" };
  const meetings: readonly [what: string, voted: CommitParts, other: CommitParts, waits: boolean][] = [
    ["a writer of what it wrote", { writes: { a: "1" } }, { writes: { a: "2" } }, true],
    ["a reader of what it wrote", { writes: { a: "1" } }, { reads: ["a"], writes: { c: "2" } }, true],
    ["who listed a range that it wrote in", { writes: { r1: "1" } }, { ranges: [range], writes: { c: "2" } }, true],
    ["a writer of what it read", { reads: ["a"], writes: { b: "1" } }, { writes: { a: "2" } }, true],
    ["a writer of a key that it found absent", { reads: ["absent"], writes: { b: "1" } }, { writes: { absent: "2" } }, true],
    ["a writer into a range that it listed", { ranges: [range], writes: { b: "1" } }, { writes: { r7: "2" } }, true],
    ["a deletion in a range that it listed", { ranges: [range], writes: { b: "1" } }, { writes: { r7: undefined } }, true],
    ["a reader of the same objects", { reads: ["a"], writes: { b: "1" } }, { reads: ["a"], writes: { c: "2" } }, false],
    ["a listing of the same range", { ranges: [range], writes: { b: "1" } }, { ranges: [range], writes: { c: "2" } }, false],
    ["a reader of other objects", { writes: { a: "1" } }, { reads: ["b"], writes: { c: "2" } }, false],
    ["a reader without serializability", { writes: { a: "1" } }, { serializable: false, reads: ["a"], writes: { c: "2" } }, false],
    [
      "a writer of objects that it read without serializability",
      { serializable: false, reads: ["a"], writes: { b: "1" } },
      { writes: { a: "2" } },
      false,
    ],
  ];
  test.each(meetings)("against %s", async (_what, voted, other, waits) => {
    const { first, second, settled } = await world();
    const id = newId();
    await first.vote({ id, ...voted });
    const commit = watched(second.commit(other));
    await settled();
    expect(commit.state).toBe(waits ? "waiting" : "done");
    await first.abort(id);
    await settled();
    expect(commit.state).toBe("done");
  });

  test("turns waiting transactions into conflicts when it commits, and lets them pass when it aborts", async () => {
    for (const end of ["finish", "abort"] as const) {
      const { first, second, settled } = await world();
      const id = newId();
      await first.vote({ id, reads: ["a"], writes: { b: "1" } });
      const commit = watched(second.commit({ reads: ["b"], writes: { a: "2" } }));
      await settled();
      await first[end](id);
      await settled();
      if (end === "finish") expect(commit.error).toBeInstanceOf(ConflictError);
      else expect(commit.state).toBe("done");
    }
  });

  test("no write skew: of two transactions that read what the other writes, one is refused", async () => {
    const { first, second, settled, snapshot } = await world();
    const id = newId();
    await first.vote({ id, snapshot, reads: ["a"], writes: { b: "1" } });
    const other = watched(second.vote({ snapshot, reads: ["b"], writes: { a: "1" } }));
    await settled();
    await first.finish(id);
    await settled();
    expect(other.error).toBeInstanceOf(ConflictError);
  });

  test("waiting transactions go on in the order of arrival", async () => {
    const { first, second, settled } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1", b: "1" } });
    const waiting = [];
    for (const key of ["b", "a", "b"]) {
      waiting.push(watched(second.commit({ reads: [key], writes: { [`from-${waiting.length}`]: "1" } })));
      await settled();
    }
    await first.abort(id);
    await settled();
    expect(waiting.map(({ state }) => state)).toEqual(["done", "done", "done"]);
    expect(second.invalidated.map(({ keys }) => keys?.[0])).toEqual(["from-0", "from-1", "from-2"]);
  });

  test("a waiting transaction holds nothing, so others overtake it", async () => {
    const { first, second, settled } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    const waiting = watched(second.commit({ writes: { a: "2", b: "2" } }));
    await settled();
    await second.commit({ writes: { b: "3" } });
    await first.abort(id);
    await settled();
    expect(waiting.error).toBeInstanceOf(ConflictError);
  });

  test("is aborted at its time-out, its id is fenced for ever, and others go on at once", async () => {
    const run = await world();
    const { first, second, clock, settled, snapshot } = run;
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    await clock.advance(4_000);
    const waiting = watched(second.commit({ reads: ["a"], writes: { c: "1" } }));
    await clock.advance(999);
    expect(waiting.state).toBe("waiting");
    await clock.advance(1);
    await settled();
    expect(waiting.state).toBe("done");
    await first.register();
    await expect(first.vote({ id, snapshot, writes: { a: "1" } })).rejects.toThrow(TransactionTimedOutError);
    await expect(first.finish(id)).rejects.toThrow(TransactionTimedOutError);
    await run.server.close();
    await run.restart();
    const again = await run.client("first", first.clientSecret);
    await expect(again.commit({ id, snapshot, writes: { a: "1" } })).rejects.toThrow(TransactionAbortedError);
    expect(await again.settle(id, snapshot)).toEqual({ committed: undefined });
  });

  test("that hangs costs its client the session, and with it all its voted transactions", async () => {
    const { first, second, clock } = await world();
    await first.vote({ writes: { a: "1" } });
    await clock.advance(3_000);
    await first.vote({ writes: { b: "1" } });
    await clock.advance(2_000);
    await expect(first.alive()).rejects.toThrow(UnknownSessionError);
    await second.commit({ writes: { b: "2" } });
  });

  test("does not time out while it is being written", async () => {
    const { first, disk, clock, settled } = await world({ sessionTimeoutMs: 100_000 });
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    disk.held = true;
    const finish = watched(first.finish(id));
    await clock.advance(20_000);
    expect(finish.state).toBe("waiting");
    disk.next().finish();
    await settled();
    expect(finish.state).toBe("done");
    await first.alive();
  });

  test("ends with its session", async () => {
    for (const end of ["bye", "silence"] as const) {
      const { first, second, clock, settled } = await world({ sessionTimeoutMs: 4_000, keepAliveIntervalMs: 1_000 });
      await first.vote({ writes: { a: "1" } });
      const waiting = watched(second.commit({ writes: { a: "2" } }));
      await clock.advance(2_000);
      await second.alive();
      if (end === "bye") await first.bye();
      else await clock.advance(2_000);
      await settled();
      expect(waiting.state).toBe("done");
    }
  });

  test("a commit that waits in vain fails after the time-out, even if it waited for several transactions, and its client keeps its session", async () => {
    const run = await world({ sessionTimeoutMs: 100_000 });
    const { first, second, clock, settled, snapshot } = run;
    const third = await run.client("third");
    const [held, vain] = [newId(), newId()];
    await first.vote({ id: held, writes: { a: "1" } });
    await clock.advance(1_000);
    const next = watched(second.vote({ writes: { a: "2" } }));
    await clock.advance(1_000);
    const waiting = watched(third.commit({ id: vain, writes: { a: "3" } }));
    await clock.advance(1_000);
    await first.abort(held);
    await settled();
    expect([next.state, waiting.state]).toEqual(["done", "waiting"]);
    await clock.advance(3_999);
    expect(waiting.state).toBe("waiting");
    await clock.advance(1);
    expect(waiting.error).toBeInstanceOf(TransactionTimedOutError);
    await third.alive();
    expect(await third.settle(vain, snapshot)).toEqual({ committed: undefined });
  });

  test("a copy of its vote is answered like the vote, and a copy of its finish like the finish", async () => {
    const { first } = await world();
    const vote = { id: newId(), snapshot: first.registered.position.tid, writes: { a: "1" } };
    await first.vote(vote);
    await first.vote(vote);
    const [committed, copied] = await Promise.all([first.finish(vote.id), first.finish(vote.id)]);
    expect(copied).toEqual(committed);
    expect(await first.finish(vote.id)).toEqual(committed);
    await first.vote(vote);
    expect((await first.status()).openTransactions).toEqual([]);
    await expect(first.commit({ ...vote, id: vote.id })).resolves.toEqual(committed);
  });

  test("whose finish waits while the server closes is written before the close; other waiting requests are refused", async () => {
    const { first, second, server, disk, settled, restart, snapshot } = await world();
    const ids = [newId(), newId()] as const;
    await first.vote({ id: ids[0], writes: { a: "1" } });
    await first.vote({ id: ids[1], writes: { b: "1" } });
    disk.held = true;
    const inAir = watched(second.commit({ writes: { c: "1" } }));
    await settled();
    const waiting = watched(second.commit({ writes: { d: "1" } }));
    const finishes = ids.map((id) => watched(first.finish(id)));
    const held = watched(second.commit({ writes: { a: "2" } }));
    const late = watched(second.settle(newId(), snapshot));
    await settled();
    const closed = watched(server.close());
    disk.held = false;
    disk.next().finish();
    await settled();
    expect([inAir.state, ...finishes.map(({ state }) => state), closed.state]).toEqual(["done", "done", "done", "done"]);
    expect([waiting.error, held.error]).toEqual([expect.any(TransactionAbortedError), expect.any(TransactionAbortedError)]);
    expect(late.error).toBeInstanceOf(DisconnectedError);
    const again = await restart();
    expect(again.status("main").position.tid).toBe(Math.max(...finishes.map(({ value }) => value?.tid ?? 0)));
  });

  test("an abort that overtakes its vote prevents it from holding anything", async () => {
    const { first, second } = await world();
    const id = newId();
    await first.abort(id);
    await expect(first.vote({ id, writes: { a: "1" } })).rejects.toThrow(TransactionAbortedError);
    await second.commit({ writes: { a: "2" } });

    const next = { id: newId(), snapshot: (await second.alive()).position.tid, writes: { b: "1" } };
    await Promise.all([first.vote(next), first.abort(next.id)]);
    await second.commit({ snapshot: next.snapshot, writes: { b: "2" } });
  });

  test("an abort after the commit is refused, and so is a finish without a vote", async () => {
    const { first } = await world();
    const id = newId();
    await first.commit({ id, writes: { a: "1" } });
    await expect(first.abort(id)).rejects.toThrow(MalformedMessageError);
    await expect(first.finish("never-voted")).rejects.toThrow(TransactionAbortedError);
    await expect(first.vote({ id: "never-voted", writes: { c: "1" } })).rejects.toThrow(TransactionAbortedError);
  });

  test("a finish that arrives before the vote has passed is refused, and changes nothing", async () => {
    const { first, second, settled } = await world();
    const [holder, early] = [newId(), newId()];
    await first.vote({ id: holder, writes: { a: "1" } });
    const vote = watched(second.vote({ id: early, writes: { a: "2" } }));
    await settled();
    await expect(second.finish(early)).rejects.toThrow(MalformedMessageError);
    await first.abort(holder);
    await settled();
    expect(vote.state).toBe("done");
    await second.finish(early);
  });

  test("settling a waiting or voted transaction aborts it, since its client has given it up", async () => {
    const { first, second, settled, snapshot } = await world();
    const voted = newId();
    const waits = newId();
    await first.vote({ id: voted, writes: { a: "1" } });
    const waiting = watched(second.commit({ id: waits, writes: { a: "2" } }));
    await settled();
    expect(await second.settle(waits, snapshot)).toEqual({ committed: undefined });
    expect(waiting.error).toBeInstanceOf(TransactionAbortedError);
    expect(await first.settle(voted, snapshot)).toEqual({ committed: undefined });
    await expect(first.finish(voted)).rejects.toThrow(TransactionAbortedError);
    await second.commit({ writes: { a: "3" } });
  });

  test("settling a transaction that is being finished waits for its end", async () => {
    const { first, disk, settled, snapshot } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    disk.held = true;
    const finish = watched(first.finish(id));
    await settled();
    const settle = watched(first.settle(id, snapshot));
    await settled();
    expect(settle.state).toBe("waiting");
    disk.next().finish();
    await settled();
    expect(settle.value).toEqual({ committed: finish.value });
  });

  test("is aborted when its finish was in doubt and the log does not contain it", async () => {
    const { first, second, disk, clock, settled } = await world();
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    disk.held = true;
    const finish = watched(first.finish(id));
    await settled();
    disk.next().fail(false);
    disk.held = false;
    await clock.advance(100);
    expect(finish.error).toBeInstanceOf(TransactionAbortedError);
    await second.commit({ writes: { a: "2" } });
  });

  test("the number of voted transactions is bounded", async () => {
    const { first, second, settled } = await world({ transactionsOpenMax: 2 });
    const id = newId();
    await first.vote({ id, writes: { a: "1" } });
    const waiting = watched(second.commit({ writes: { a: "2" } }));
    await settled();
    await expect(second.vote({ writes: { c: "1" } })).rejects.toThrow(ServerBusyError);
    await expect(second.commit({ writes: { a: "3" } })).rejects.toThrow(ServerBusyError);
    await second.commit({ writes: { c: "1" } });
    await first.abort(id);
    await settled();
    expect(waiting.state).toBe("done");
    await second.vote({ writes: { d: "1" } });
  });
});
