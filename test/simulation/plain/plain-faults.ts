import { calm, type FaultProfile } from "../../../testing/fault-profile.js";
import { NodeFaults } from "../cache/node-faults.js";
import type { SimulatedNode } from "../cache/simulated-node.js";
import { type Fault, playFaults } from "../common/play-faults.js";
import type { PlainWorld } from "./plain-world.js";

/** A link of NATS keeps its order and loses messages only when it breaks: the fault profile decides only the delays. */
const breeze: FaultProfile = { ...calm, delayMsMin: 0.2, delayMsMax: 10 };
const storm: FaultProfile = { ...calm, delayMsMin: 0.5, delayMsMax: 60 };

/** The faults of one run over plain NATS, and their times. */
export class PlainFaults extends NodeFaults<PlainWorld> {
  readonly isSlow: boolean;
  /**
   * Whether faults are rare. Each new link makes a node discard: with many links a node has nothing left that could be
   * stale.
   */
  readonly #isSparse: boolean;
  #isDeaf = false;

  constructor(world: PlainWorld, nodes: readonly SimulatedNode[]) {
    super(world, nodes);
    this.isSlow = this.random.fraction() < 0.2;
    this.#isSparse = this.random.fraction() < 0.5;
    for (const { name } of nodes) this.#move(name);
  }

  run(): Promise<void> {
    const { cluster, hasStalls } = this.world;
    const routes = cluster.size > 1 ? 1 : 0;
    const slow: readonly Fault[] = [
      [4, "slow link", () => this.slowDown()],
      [2, "broker killed", () => this.#killBroker()],
      [1, "node killed", () => this.killNode()],
    ];
    const sparse: readonly Fault[] = [
      [2 * routes, "broker killed", () => this.#killBroker()],
      [3 * routes, "routes broken", () => this.#breakRoutes()],
      [5 * routes, "node restarted before routes break", () => this.#restart()],
      [4 * routes, "node killed while routes are broken", () => this.#killUnheard()],
      [2, "node killed", () => this.killNode()],
      [1, "node closed", () => this.closeNode()],
      [2, "cut", () => this.#cut()],
    ];
    const faults: readonly Fault[] = [
      [3, "fault profile", () => this.#profile()],
      [4, "cut", () => this.#cut()],
      [2, "silence", () => this.#silence()],
      [1, "slow link", () => this.slowDown()],
      [1, "all brokers killed", () => this.#killBrokers()],
      [3 * routes, "broker killed", () => this.#killBroker()],
      [3 * routes, "routes broken", () => this.#breakRoutes()],
      [3, "node killed", () => this.killNode()],
      [1, "node closed", () => this.closeNode()],
      [hasStalls ? 3 : 0, "node held up", () => this.stall()],
      [1, "clock", () => this.shiftClock()],
      [1, "disk", () => this.disk()],
    ];
    if (this.isSlow) return this.#play(slow, [20, 350]);
    return this.#isSparse ? this.#play(sparse, [100, 800]) : this.#play(faults, [20, 350]);
  }

  #play(faults: readonly Fault[], pauseMs: readonly [min: number, max: number]): Promise<void> {
    return playFaults(faults, { stage: this.world, random: this.random, pauseMs, isOver: () => this.isOver });
  }

  override end(): void {
    const { network } = this.world;
    // A link that lost messages and goes on is no link of NATS.
    for (const { name, end } of this.nodes) if (network.isDeaf(name)) end?.cut();
    super.end();
  }

  protected repair(): void {
    this.world.cluster.mendRoutes();
  }

  async #profile(): Promise<void> {
    const { network } = this.world;
    network.profile = this.random.fraction() < 0.5 ? storm : breeze;
    await this.pause(100, 1_000);
    if (!this.isOver) network.profile = this.random.fraction() < 0.3 ? breeze : calm;
  }

  async #cut(): Promise<void> {
    const node = this.node();
    node.end?.cut();
    await this.pause(10, 1_200);
    this.#link(node);
  }

  /** Nothing reaches a node any more, and no process notices until its link is given up. */
  async #silence(): Promise<void> {
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    const node = this.node();
    const { network } = this.world;
    network.deafen(node.name);
    await this.pause(20, 1_000);
    if (!this.isOver) {
      node.end?.cut();
      network.heal();
      await this.pause(0, 200);
      this.#link(node);
    }
    this.#isDeaf = false;
  }

  async #killBrokers(): Promise<void> {
    const { network, cluster } = this.world;
    if (!network.isRunning) return;
    network.stop();
    for (let broker = 0; broker < cluster.size; broker++) cluster.crash(broker);
    await this.pause(0, 800);
    network.start();
  }

  /**
   * Messages that one broker has not passed on are lost. Its nodes get a link again one after the other, to any broker.
   */
  async #killBroker(): Promise<void> {
    const { cluster } = this.world;
    const broker = Math.floor(this.random.fraction() * cluster.size);
    cluster.crash(broker);
    const theirs = this.nodes.filter(({ name }) => cluster.brokerOf(name) === broker);
    for (const { end } of theirs) end?.cut();
    // The broker's machine may also have run one of its nodes.
    const [first] = theirs;
    if (first !== undefined && this.random.fraction() < 0.3) {
      await first.kill();
      await this.downtime();
      first.open();
    }
    await Promise.all(
      theirs.map(async (node) => {
        await this.pause(0, 800);
        this.#link(node);
      }),
    );
  }

  /** Brokers no longer receive each other's messages, and no node is notified. */
  async #breakRoutes(): Promise<void> {
    const { cluster } = this.world;
    cluster.breakRoutes();
    // Mostly for less than the time-out: a longer silence makes nodes discard, which hides other faults.
    if (this.random.fraction() < 0.75) await this.pause(50, 240);
    else await this.pause(240, 1_200);
    cluster.mendRoutes();
  }

  /** Restarts a node so soon that no other node notices. Some nodes lose what it publishes then. */
  async #restart(): Promise<void> {
    const node = this.node();
    await node.kill();
    await this.pause(0, 20);
    node.open();
    await this.pause(20, 200);
    if (!this.isOver) await this.#breakRoutes();
  }

  /** Some nodes lose the last publications of a node, and it is dead and cannot repeat them. */
  async #killUnheard(): Promise<void> {
    const { cluster } = this.world;
    cluster.breakRoutes();
    await this.pause(20, 240);
    const node = this.nodes.find(({ name }) => name === this.world.lastPublisher) ?? this.node();
    await node.kill();
    cluster.mendRoutes();
    await this.downtime();
    node.open();
  }

  /** Links a node to any broker. */
  #link({ name, end }: SimulatedNode): void {
    if (end?.status !== "disconnected") return;
    this.#move(name);
    end.mend();
  }

  #move(name: string): void {
    this.world.cluster.move(name, Math.floor(this.random.fraction() * this.world.cluster.size));
  }
}
