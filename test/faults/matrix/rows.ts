import { setTimeout as pause } from "node:timers/promises";
import { jetStreamConfig } from "../../support/nats-buses.js";
import { silence } from "../../support/silent-broker.js";
import type { Cell, Tier } from "./cell.js";
import type { Member } from "./member.js";
import type { Stage, StageOptions } from "./stage.js";

/** One fault, played with all tiers and ways at once. */
export interface Row {
  readonly title: string;
  /** A broker, a link or a process is away for `cutMs`. */
  readonly isCut: boolean;
  readonly options?: Pick<StageOptions, "otherBehindMs" | "maxBytes">;
  /** Tiers that promise to survive the fault. Default: all. */
  readonly tiers?: readonly Tier[];
  readonly play: (stage: Stage) => Promise<void>;
}

/** Length of a computation during which something is invalidated. */
const computationMs = 300;

const cuts: readonly Row[] = [
  cutRow("the other node cut", (stage) => ({
    away: [stage.other],
    begin: () => stage.other.link.cut(),
    end: () => stage.other.link.mend(),
  })),
  cutRow("the invalidating node cut", (stage) => ({
    away: [stage.one],
    begin: () => stage.one.link.cut(),
    end: () => stage.one.link.mend(),
  })),
  cutRow("broker killed, its data kept", (stage) => ({
    away: stage.members,
    begin: () => stage.broker.kill(),
    end: () => stage.broker.restart(),
  })),
  cutRow("broker killed and emptied", (stage) => ({
    away: stage.members,
    begin: () => stage.broker.kill(),
    end: () => stage.broker.restart(jetStreamConfig("emptied")),
  })),
  cutRow("the other node cut, broker emptied meanwhile", (stage) => ({
    away: [stage.other],
    begin: () => stage.other.link.cut(),
    end: async () => {
      await stage.broker.kill();
      await stage.broker.restart(jetStreamConfig("emptied"));
      stage.other.link.mend();
    },
  })),
  cutRow("the other node's link silent", (stage) => ({
    away: [stage.other],
    begin: () => stage.other.link.stall(),
    end: () => stage.other.link.mend(),
  })),
  cutRow("the invalidating node's link silent", (stage) => ({
    away: [stage.one],
    begin: () => stage.one.link.stall(),
    end: () => stage.one.link.mend(),
  })),
  cutRow("broker frozen (SIGSTOP)", (stage) => ({
    away: stage.members,
    begin: () => silence(stage.broker),
    end: () => stage.broker.resume(),
  })),
];

const computations: readonly Row[] = [
  computationRow("own node invalidates during a computation", (stage) => stage.one),
  computationRow("the other node invalidates during a computation", (stage) => stage.other),
];

const clocks: readonly Row[] = [clockRow("2 s", 2_000), clockRow("2 h", 2 * 3_600_000)];

const others: readonly Row[] = [
  {
    title: "another node re-caches first",
    isCut: true,
    play: async (stage) => {
      const { one, other } = stage;
      await stage.warm();
      other.link.cut();
      stage.isolate(other);
      await stage.invalidateAt(one);
      await stage.each((cell) => cell.keepAt(one));
      // A second time: the newly kept version is later than that of the other node, and again no longer current.
      await stage.invalidateAt(one);
      await stage.each((cell) => cell.keepAt(one));
      await stage.watch();
      stage.letReturn();
      other.link.mend();
      await stage.recover();
    },
  },
  {
    title: "the other node cut, and restarts before it reads",
    isCut: false,
    play: async (stage) => {
      const { one, other } = stage;
      await stage.warm();
      other.link.cut();
      await stage.invalidateAt(one);
      other.link.mend();
      await restarted(stage, other);
    },
  },
  {
    title: "the other node restarts while it is cut off",
    isCut: false,
    play: async (stage) => {
      const { one, other } = stage;
      await stage.warm();
      other.link.cut();
      await stage.invalidateAt(one);
      stage.isolate(other);
      await restarted(stage, other, () => other.link.mend());
    },
  },
  {
    title: "the invalidating node restarts before it reads",
    isCut: false,
    play: async (stage) => {
      await stage.warm();
      await stage.invalidateAt(stage.one, "published");
      await restarted(stage, stage.one);
    },
  },
  {
    title: "the invalidating node cut, and killed before it is connected again",
    isCut: false,
    // An outbox in memory is lost with its process; docs/fault-matrix.md says so.
    tiers: ["memory + LMDB"],
    play: async (stage) => {
      const { one } = stage;
      await stage.warm();
      one.link.cut();
      await stage.invalidateAt(one, "queued");
      await restarted(stage, one, () => one.link.mend());
    },
  },
  {
    title: "the tag pruned in between",
    isCut: false,
    play: async (stage) => playGone(stage, async (member, cell) => member.process.ask({ type: "prune", cell })),
  },
  {
    title: "the entry evicted in between",
    isCut: false,
    options: { maxBytes: 8 * 1_024 },
    play: async (stage) => playGone(stage, async (member, cell) => member.process.ask({ type: "fill", cell, entries: 16 })),
  },
  {
    title: "`a.b:c` against `a:b.c`",
    isCut: false,
    play: async (stage) => {
      await eachOfBoth(stage, async (cell, entry, neighbour) => {
        cell.use(neighbour);
        await cell.keepAt(...stage.members);
        cell.use(entry);
        await cell.keepAt(...stage.members);
        await cell.invalidateAt(stage.one);
        await cell.settle(stage.members);
        await cell.keepAt(...stage.members);
        cell.use(neighbour);
        for (const member of stage.members) {
          if (!(await cell.isKeptAt(member))) cell.wrong(`${member.name} forgot ${neighbour} when ${entry} was invalidated`);
        }
      });
      // To a node that was away the stream delivers the last invalidation of each tag, so of both.
      stage.other.link.cut();
      await eachOfBoth(stage, async (cell, entry) => {
        cell.use(entry);
        await cell.invalidateAt(stage.one);
      });
      stage.other.link.mend();
      await eachOfBoth(stage, async (cell, entry) => {
        cell.use(entry);
        await cell.settle(stage.members);
        cell.demandTruth(stage.members, "which was invalidated while it was cut off");
        for (const member of stage.members) await cell.call(member);
      });
      await stage.prove();
    },
  },
];

async function eachOfBoth(stage: Stage, act: (cell: Cell, entry: string, neighbour: string) => Promise<void>): Promise<void> {
  await stage.each(async (cell) => {
    await act(cell, "a.b:c", "a:b.c");
    await act(cell, "a:b.c", "a.b:c");
  });
}

/** The rows of the matrix, in their order. */
export const rows: readonly Row[] = [...cuts, ...computations, ...clocks, ...others];

interface Fault {
  /** Nodes that receive nothing during the fault. */
  readonly away: readonly Member[];
  readonly begin: () => unknown;
  readonly end: () => unknown;
}

function cutRow(title: string, faultOf: (stage: Stage) => Fault): Row {
  return {
    title,
    isCut: true,
    play: async (stage) => {
      await stage.warm();
      const { away, begin, end } = faultOf(stage);
      await begin();
      stage.isolate(...away);
      const isOneAway = away.includes(stage.one);
      const invalidated = stage.invalidateAt(stage.one, isOneAway ? "queued" : undefined);
      await stage.watch();
      await invalidated;
      stage.letReturn();
      await end();
      await stage.recover();
    },
  };
}

/** A node reads a value that is then invalidated, and would keep it if it missed the invalidation. */
function computationRow(title: string, invalidating: (stage: Stage) => Member): Row {
  return {
    title,
    isCut: false,
    play: async (stage) => {
      await stage.each(async (cell) => {
        await computeDuring(
          stage,
          cell,
          () => cell.call(stage.one),
          () => cell.invalidateAt(invalidating(stage)),
        );
        await cell.settle(stage.members);
        for (const member of stage.members) await cell.call(member);
      });
      await stage.prove();
    },
  };
}

/** Performs `act` while `call` has read its row but not returned. Resolves when `call` has returned. */
async function computeDuring(stage: Stage, cell: Cell, call: () => Promise<unknown>, act: () => Promise<unknown>): Promise<void> {
  const { database } = stage;
  const { row } = cell;
  const before = readsOf(stage, row);
  let acted: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (acted = resolve));
  database.slow(row, Promise.all([done, pause(computationMs)]));
  let isOver = false;
  const called = call().finally(() => (isOver = true));
  while (!isOver && readsOf(stage, row) === before) await pause(1);
  database.slow(row, undefined);
  if (readsOf(stage, row) === before) cell.wrong("a call was answered by a kept result although none is valid");
  await act();
  acted();
  await called;
}

function readsOf({ database, members }: Stage, row: string): number {
  return members.reduce((sum, { name }) => sum + database.reads(name, row), 0);
}

function clockRow(behind: string, otherBehindMs: number): Row {
  return {
    title: `the other node's clock ${behind} behind`,
    isCut: false,
    options: { otherBehindMs },
    play: async (stage) => {
      const { one, other } = stage;
      await stage.warm();
      for (const [writer, reader] of [
        [one, other],
        [other, one],
        [one, one],
        [other, other],
      ] as const) {
        await stage.each(async (cell) => {
          await cell.invalidateAt(writer);
          await cell.settle(stage.members);
          await cell.keepAt(...stage.members);
          // Neither node may keep a result that one computes while the other invalidates.
          await computeDuring(
            stage,
            cell,
            async () => {
              await cell.invalidateAt(reader);
              await cell.call(reader);
            },
            () => cell.invalidateAt(writer),
          );
          await cell.settle(stage.members);
          await cell.keepAt(...stage.members);
        });
      }
      await stage.prove();
    },
  };
}

/**
 * Kills and restarts `member`. It must serve no invalidated version from its first answer on, with any state of its
 * disk.
 */
async function restarted(stage: Stage, member: Member, mend: () => void = () => undefined): Promise<void> {
  await member.restart();
  await stage.each(async (cell) => {
    cell.demandTruth([member], "which was true before it began");
    for (let call = 0; call < 3; call++) await cell.call(member);
  });
  stage.letReturn();
  mend();
  await stage.recover();
}

/**
 * An invalidated tag or entry is removed at `other` by `go`, before it is read, and again while a computation that read
 * it runs.
 */
async function playGone(stage: Stage, go: (member: Member, cell: string) => Promise<unknown>): Promise<void> {
  const { one, other } = stage;
  await stage.warm();
  await stage.each(async (cell) => {
    await cell.invalidateAt(one);
    await cell.settle(stage.members);
    await go(other, cell.name);
    await cell.call(other);
    await cell.invalidateAt(other);
    await computeDuring(
      stage,
      cell,
      () => cell.call(other),
      async () => {
        await cell.invalidateAt(one);
        await cell.settle(stage.members);
        await go(other, cell.name);
      },
    );
    await go(other, cell.name);
    await cell.call(other);
  });
  await stage.prove();
}
