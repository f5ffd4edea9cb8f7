import { setTimeout as pause } from "node:timers/promises";
import type { Publication } from "../../../cache.js";
import { jetStreamConfig } from "../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { Cell, type Tier, type Way } from "./cell.js";
import { Database } from "./database.js";
import { Member } from "./member.js";
import { cacheOptionsOf } from "./cache-options.js";

/** Pause between two calls of one cell at one node during a fault. */
const watchPauseMs = 40;
/** How long caches serve without heartbeats: longer than the interval of heartbeats, so that one may be late. */
const maxStaleMs = 2_500;

export interface StageOptions {
  readonly tiers: readonly Tier[];
  readonly ways: readonly Way[];
  /** Length of a fault. */
  readonly cutMs: number;
  /** How far the wall clock of `other` is behind. */
  readonly otherBehindMs?: number | undefined;
  readonly maxBytes?: number | undefined;
}

/**
 * A broker, two node processes with links that can be cut, and for each cell a cache at both nodes with a prefix of its
 * own.
 */
export class Stage implements AsyncDisposable {
  readonly broker: NatsServer;
  readonly database: Database;
  /** The node that invalidates, except where a row says otherwise. */
  readonly one: Member;
  readonly other: Member;
  readonly cells: readonly Cell[];
  readonly cutMs: number;

  private constructor(parts: Pick<Stage, "broker" | "database" | "one" | "other" | "cells" | "cutMs">) {
    ({ broker: this.broker, database: this.database, one: this.one, other: this.other, cells: this.cells, cutMs: this.cutMs } = parts);
  }

  static async open(options: StageOptions): Promise<Stage> {
    const database = new Database();
    const broker = await startNatsServer({ config: jetStreamConfig() });
    const [one, other] = await Member.startAll(["one node", "the other node"], broker, database).catch(async (error: unknown) => {
      await broker.stop();
      throw error;
    });
    if (one === undefined || other === undefined) throw new TypeError("there are two nodes");
    const publishTimeoutMs = Math.min(1_000, options.cutMs / 2);
    const cells = options.tiers.flatMap((tier) =>
      options.ways.map((way) => new Cell({ tier, way, database, maxStaleMs, publishTimeoutMs })),
    );
    const stage = new Stage({ broker, database, one, other, cells, cutMs: options.cutMs });
    await stage.each(async (cell) => {
      const settings = { prefix: cell.name, maxStaleSecs: maxStaleMs / 1_000, publishTimeout: publishTimeoutMs / 1_000 };
      await Promise.all(
        stage.members.map(async (member) =>
          member.open({
            cell: cell.name,
            options: {
              ...settings,
              ...cacheOptionsOf(cell.tier, cell.name, member),
              ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
            },
            wallClockBehindMs: member === other ? (options.otherBehindMs ?? 0) : 0,
          }),
        ),
      );
      await cell.settle(stage.members);
      if (cell.tier === "memory + bucket") await cell.shareAt(one, other);
    });
    return stage;
  }

  get members(): readonly Member[] {
    return [this.one, this.other];
  }

  /** Does the same for every cell, in parallel. A cell is wrong when `act` fails for it. */
  async each(act: (cell: Cell) => unknown): Promise<void> {
    await Promise.all(
      this.cells.map(async (cell) => {
        try {
          await act(cell);
        } catch (error) {
          cell.wrong(String(error instanceof Error ? error.message : error));
        }
      }),
    );
  }

  /** Waits until all nodes keep current results. */
  async warm(): Promise<void> {
    await this.each((cell) => cell.keepAt(...this.members));
  }

  /** Writes and invalidates at `member`, in every cell. */
  async invalidateAt(member: Member, expected?: Publication): Promise<void> {
    await this.each((cell) => cell.invalidateAt(member, expected));
  }

  /** From now on these nodes receive nothing. */
  isolate(...members: readonly Member[]): void {
    for (const member of members) {
      member.isolatedAt = performance.now();
      member.mayReturn = false;
    }
  }

  /** The fault is over: the nodes may return. */
  letReturn(): void {
    for (const member of this.members) member.mayReturn = true;
  }

  /** Calls every cell at every node again and again, during the fault. */
  async watch(): Promise<void> {
    const end = performance.now() + this.cutMs;
    await this.each((cell) =>
      Promise.all(
        this.members.map(async (member) => {
          while (performance.now() < end) {
            await cell.call(member);
            await pause(watchPauseMs);
          }
        }),
      ),
    );
  }

  /**
   * After the fault, calls go on until the nodes have returned. Then the results must be current, be kept, and be
   * invalidated again.
   */
  async recover(): Promise<void> {
    await this.each(async (cell) => {
      let isSettled = false;
      const calls = this.members.map(async (member) => {
        while (!isSettled) {
          await cell.call(member);
          await pause(watchPauseMs);
        }
      });
      await cell.settle(this.members);
      isSettled = true;
      await Promise.all(calls);
    });
    for (const member of this.members) member.isolatedAt = undefined;
    await this.prove();
  }

  /** Current results are served and kept at all nodes, and the next invalidation, at either node, reaches both. */
  async prove(): Promise<void> {
    await this.each(async (cell) => {
      await cell.keepAt(...this.members);
      for (const member of this.members) {
        await cell.invalidateAt(member);
        await cell.settle(this.members);
        await cell.keepAt(...this.members);
      }
    });
    for (const { process } of this.members) {
      if (process.ended !== undefined) for (const cell of this.cells) cell.wrong(`${process.name} ${process.ended}`);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()));
    await this.broker.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
