import { healthyDisk } from "../../../testing/simulated-disk.js";
import type { DiskFaults } from "../../../testing/simulated-disk.js";
import { calm } from "../../../testing/fault-profile.js";
import type { Random } from "../../../core/index.js";
import { oneOf, pause } from "../common/play-faults.js";
import { type CacheWorld, timings } from "./cache-world.js";
import type { SimulatedNode } from "./simulated-node.js";

const slowDisk: DiskFaults = { latencyMsMin: 5, latencyMsMax: 120, notifyMsMax: 40, inTurn: 0, doubt: 0 };
const failingDisk: DiskFaults = { latencyMsMin: 0.5, latencyMsMax: 10, notifyMsMax: 5, inTurn: 0.3, doubt: 0.15 };

/** Interval at which the lag of a slowing link grows. */
const slowStepMs = 50;

/** The faults of nodes and of their links, with any bus. */
export abstract class NodeFaults<World extends CacheWorld = CacheWorld> {
  protected readonly world: World;
  protected readonly nodes: readonly SimulatedNode[];
  protected readonly random: Random;
  protected isOver = false;

  constructor(world: World, nodes: readonly SimulatedNode[]) {
    this.world = world;
    this.nodes = nodes;
    this.random = world.random();
  }

  /**
   * Whether the run has hardly any faults but slow links. Nodes fall behind without noticing only if no fault breaks
   * their links for long.
   */
  abstract readonly isSlow: boolean;

  /** Plays one fault after the other, several at once, until `end`. */
  abstract run(): Promise<void>;

  /**
   * Ends all faults before a lull of `ms`. Some processes end within `soonMs` and are down until the next `end`; others
   * end later and run again a while after.
   */
  lull(soonMs: number, ms: number): void {
    this.end();
    const restart = async (node: SimulatedNode): Promise<void> => {
      const [dice, isKilled] = [this.random.fraction(), this.random.fraction() < 0.5];
      if (dice < 0.3) return;
      const isSoon = dice < 0.6;
      await this.pause(0, isSoon ? soonMs : ms * 0.9);
      await (isKilled ? node.kill() : node.close());
      if (isSoon) return;
      await this.pause(0, ms * 0.5);
      node.open();
    };
    for (const node of this.nodes) restart(node).catch((error: unknown) => this.world.unlessExpected("lull", error));
  }

  /** Ends all faults: from now on everything works, and every node runs. */
  end(): void {
    const { network } = this.world;
    this.isOver = true;
    this.world.note("fault", "no more");
    network.profile = calm;
    network.heal();
    for (const { name } of this.nodes) network.slowDown(name, 0);
    this.repair();
    network.start();
    for (const node of this.nodes) {
      if (node.disk !== undefined) node.disk.faults = healthyDisk;
      node.end?.mend();
      node.open();
    }
  }

  /** Ends the faults of the brokers. */
  protected abstract repair(): void;

  /** A node receives everything, in order, and later and later: its link is slow, and never silent. */
  protected async slowDown(): Promise<void> {
    const { network } = this.world;
    const { name } = this.node();
    if (this.nodes.some((node) => network.lagMs(node.name) > 0)) return;
    const growth = 0.5 + this.random.fraction() * 1.7;
    const steps = 5 + Math.floor(this.random.fraction() * 15);
    for (let step = 1; step <= steps && !this.isOver; step++) {
      network.slowDown(name, step * slowStepMs * growth);
      await this.pause(slowStepMs, slowStepMs);
    }
    await this.pause(100, 1_500);
    network.slowDown(name, 0);
  }

  protected async killNode(): Promise<void> {
    const node = this.node();
    await node.kill();
    await this.downtime();
    node.open();
  }

  protected async closeNode(): Promise<void> {
    const node = this.node();
    await node.close();
    await this.downtime();
    node.open();
  }

  protected async stall(): Promise<void> {
    this.node().clock?.stall(this.random.fraction() * timings.stallMsMax);
  }

  protected async shiftClock(): Promise<void> {
    const clock = this.random.fraction() < 0.3 ? this.world.brokerClock : this.node().clock;
    // If the broker's clock jumps far, the broker finds its stream too old.
    clock?.shiftWall((this.random.fraction() - 0.5) * (clock === this.world.brokerClock ? 400 : 5_000_000));
  }

  protected async disk(): Promise<void> {
    const { disk } = this.node();
    if (disk === undefined) return;
    disk.faults = this.random.fraction() < 0.7 ? slowDisk : failingDisk;
    await this.pause(100, 1_000);
    disk.faults = healthyDisk;
  }

  protected downtime(): Promise<void> {
    return this.random.fraction() < 0.5 ? this.pause(0, 10) : this.pause(10, 600);
  }

  protected node(): SimulatedNode {
    return oneOf(this.nodes, this.random);
  }

  protected pause(msMin: number, msMax: number): Promise<void> {
    return pause(this.world, this.random, msMin, msMax);
  }
}
