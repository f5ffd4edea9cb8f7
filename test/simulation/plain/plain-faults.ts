import { calm, type FaultProfile } from "../../../testing/fault-profile.js";
import { NodeFaults } from "../cache/node-faults.js";
import type { SimulatedNode } from "../cache/simulated-node.js";
import { type Fault, playFaults } from "../common/play-faults.js";
import type { PlainWorld } from "./plain-world.js";

/** A link of NATS is in order, and loses nothing but by its end: only how long it takes is up to the fault profile. */
const breeze: FaultProfile = { ...calm, delayMsMin: 0.2, delayMsMax: 10 };
const storm: FaultProfile = { ...calm, delayMsMin: 0.5, delayMsMax: 60 };

/** What goes wrong in one run over plain NATS, and when. */
export class PlainFaults extends NodeFaults<PlainWorld> {
  readonly isSlow: boolean;
  /** Faults are rare: each new link discards, and where many come nothing is left that a node could have missed. */
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
    // A link that lost something and goes on is no link of NATS.
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

  /** Nothing reaches a node any more, and nobody notices until its link is given up. */
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

  /** What one broker has not passed on is lost; its nodes come back one after the other, at any broker. */
  async #killBroker(): Promise<void> {
    const { cluster } = this.world;
    const broker = Math.floor(this.random.fraction() * cluster.size);
    cluster.crash(broker);
    const theirs = this.nodes.filter(({ name }) => cluster.brokerOf(name) === broker);
    for (const { end } of theirs) end?.cut();
    // The process of one of them may have run beside it.
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

  /** Two brokers do not hear each other, and no node is told. */
  async #breakRoutes(): Promise<void> {
    const { cluster } = this.world;
    cluster.breakRoutes();
    // Mostly for less than the time-out: longer silence discards, and hides what else was not noticed.
    if (this.random.fraction() < 0.75) await this.pause(50, 240);
    else await this.pause(240, 1_200);
    cluster.mendRoutes();
  }

  /** So soon that nobody noticed that it was away; what it publishes then is lost at some. */
  async #restart(): Promise<void> {
    const node = this.node();
    await node.kill();
    await this.pause(0, 20);
    node.open();
    await this.pause(20, 200);
    if (!this.isOver) await this.#breakRoutes();
  }

  /** What it published last is lost at some, and it is not there to say so. */
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

  /** To any broker. */
  #link({ name, end }: SimulatedNode): void {
    if (end?.status !== "disconnected") return;
    this.#move(name);
    end.mend();
  }

  #move(name: string): void {
    this.world.cluster.move(name, Math.floor(this.random.fraction() * this.world.cluster.size));
  }
}
