import { soundDisk } from "../../../testing/simulated-disk.js";
import type { DiskHabits } from "../../../testing/simulated-disk.js";
import { jetStreamEnd } from "../../../testing/simulated-jetstream.js";
import { calm, type Weather } from "../../../testing/weather.js";
import type { Chance } from "../../../words/index.js";
import { type Fault, oneOf, pause, playFaults } from "../play-faults.js";
import { type CacheWorld, timings } from "./cache-world.js";
import type { NodePlace } from "./node-place.js";

const breeze: Weather = { delayMsMin: 0.2, delayMsMax: 10, loss: 0.01, duplication: 0.02, straying: 0.05, strayDelayMsMax: 80 };
const storm: Weather = { delayMsMin: 0.5, delayMsMax: 60, loss: 0.06, duplication: 0.1, straying: 0.2, strayDelayMsMax: 350 };
const slowDisk: DiskHabits = { latencyMsMin: 5, latencyMsMax: 120, tellingMsMax: 40, inTurn: 0, doubt: 0 };
const failingDisk: DiskHabits = { latencyMsMin: 0.5, latencyMsMax: 10, tellingMsMax: 5, inTurn: 0.3, doubt: 0.15 };

/** How often the lag of a link that becomes slow grows. */
const slowStepMs = 50;

/** What goes wrong in one run of the cache, and when. */
export class CacheFaults {
  readonly #world: CacheWorld;
  readonly #nodes: readonly NodePlace[];
  readonly #chance: Chance;
  /** A power failure may take what was acknowledged: only some runs have it, so that the others can hold the broker to more. */
  readonly #losesPower: boolean;
  /** Little happens but links that become slow: only where nothing breaks them for long do nodes fall behind without noticing. */
  readonly isSlow: boolean;
  #isOver = false;

  constructor(world: CacheWorld, nodes: readonly NodePlace[]) {
    this.#world = world;
    this.#nodes = nodes;
    this.#chance = world.chance();
    this.#losesPower = this.#chance.fraction() < 0.35;
    this.isSlow = this.#chance.fraction() < 0.12;
  }

  /** One fault after the other, several at once, until `end`. */
  run(): Promise<void> {
    const power = this.#losesPower ? 3 : 0;
    // What the bucket was given meanwhile bears numbers that the stream gives again: only a broker that syncs can exclude that.
    const forgetting = this.#nodes.some(({ sharesResults }) => sharesResults) ? 0 : power;
    const slow: readonly Fault[] = [
      [4, "slow link", () => this.#slowDown()],
      [1, "node held up", () => this.#stall()],
      [1, "node killed", () => this.#killNode()],
    ];
    const faults: readonly Fault[] = [
      [3, "weather", () => this.#weather()],
      [3, "cut", () => this.#cut()],
      [3, "sever", () => this.#sever()],
      [1, "slow link", () => this.#slowDown()],
      [2, "broker killed", () => this.#stopBroker(() => undefined)],
      [1, "broker emptied", () => this.#stopBroker(() => this.#empty())],
      [1, "broker emptied while a node is away", () => this.#away(() => this.#empty())],
      [power, "power failure", () => this.#stopBroker(() => this.#losePower())],
      [forgetting, "a leader without the end", async () => this.#losePower()],
      [power, "power failure while a node is away", () => this.#away(() => this.#losePower())],
      [2, "no leader", () => this.#noLeader()],
      [2, "leaders die", () => this.#unsaid()],
      [3, "node killed", () => this.#killNode()],
      [1, "node closed", () => this.#closeNode()],
      [2, "node held up", () => this.#stall()],
      [1, "clock", () => this.#shiftClock()],
      [1, "disk", () => this.#disk()],
    ];
    return playFaults(this.isSlow ? slow : faults, {
      stage: this.#world,
      chance: this.#chance,
      pauseMs: [20, 350],
      isOver: () => this.#isOver,
    });
  }

  /** Ends all faults: from now on everything works, and everybody is up. */
  end(): void {
    const { network, jetStream } = this.#world;
    this.#isOver = true;
    this.#world.note("fault", "no more");
    network.weather = calm;
    network.heal();
    for (const { name } of this.#nodes) network.slowDown(name, 0);
    jetStream.habits = { ...jetStream.habits, unsaid: 0 };
    jetStream.resume();
    network.start();
    for (const node of this.#nodes) {
      if (node.disk !== undefined) node.disk.habits = soundDisk;
      node.end?.mend();
      node.open();
    }
  }

  async #weather(): Promise<void> {
    const { network } = this.#world;
    network.weather = this.#chance.fraction() < 0.5 ? storm : breeze;
    await this.#pause(100, 1_000);
    if (!this.#isOver) network.weather = this.#chance.fraction() < 0.3 ? breeze : calm;
  }

  async #cut(): Promise<void> {
    const end = this.#node().end;
    end?.cut();
    await this.#pause(10, 1_200);
    end?.mend();
  }

  /** The broker and a node no longer hear one another, in one direction or both, and neither is told. */
  async #sever(): Promise<void> {
    const { network } = this.#world;
    const { name } = this.#node();
    const dice = this.#chance.fraction();
    if (dice < 0.7) network.sever(jetStreamEnd, name);
    if (dice > 0.5) network.sever(name, jetStreamEnd);
    await this.#pause(20, 1_000);
    network.heal();
  }

  /** A node hears everything, in order, and later and later: its link is slow, and never silent. */
  async #slowDown(): Promise<void> {
    const { network } = this.#world;
    const { name } = this.#node();
    if (this.#nodes.some((node) => network.lagMs(node.name) > 0)) return;
    const growth = 0.5 + this.#chance.fraction() * 1.7;
    const steps = 5 + Math.floor(this.#chance.fraction() * 15);
    for (let step = 1; step <= steps && !this.#isOver; step++) {
      network.slowDown(name, step * slowStepMs * growth);
      await this.#pause(slowStepMs, slowStepMs);
    }
    await this.#pause(100, 1_500);
    network.slowDown(name, 0);
  }

  /** Nodes are linked again one after the other. */
  async #stopBroker(meanwhile: () => void): Promise<void> {
    const { network } = this.#world;
    if (!network.isRunning) return;
    network.stop();
    await this.#pause(0, 20);
    meanwhile();
    if (this.#chance.fraction() < 0.5) await this.#pause(10, 800);
    network.start();
    await Promise.all(
      this.#nodes.map(async ({ end }) => {
        if (this.#isOver || this.#chance.fraction() < 0.3) return;
        end?.cut();
        await this.#pause(0, 400);
        end?.mend();
      }),
    );
  }

  /** One node comes back when the others have long gone on. */
  async #away(meanwhile: () => void): Promise<void> {
    const { end } = this.#node();
    if (this.#chance.fraction() < 0.5) {
      end?.cut();
      await this.#pause(0, 400);
    }
    const { network } = this.#world;
    if (this.#isOver || !network.isRunning) {
      end?.mend();
      return;
    }
    network.stop();
    await this.#pause(0, 20);
    meanwhile();
    network.start();
    end?.cut();
    await this.#pause(200, 1_500);
    end?.mend();
  }

  #empty(): void {
    if (this.#isOver) return;
    this.#world.note("fault", "the broker loses everything");
    this.#world.jetStream.empty();
    this.#world.bucket.empty();
  }

  #losePower(): void {
    if (this.#isOver) return;
    const { jetStream, checker } = this.#world;
    jetStream.losePower(this.#chance.fraction() * 600);
    this.#world.bucket.empty();
    const stream = jetStream.stream(`ZOOID_sim`);
    if (stream === undefined) return;
    this.#world.note("fault", `the stream ends at ${stream.lastSequence}`);
    checker.lost(
      stream.created,
      stream.lastSequence,
      this.#nodes.flatMap(({ life }) => (life === undefined ? [] : [life])),
    );
  }

  async #noLeader(): Promise<void> {
    this.#world.jetStream.pause();
    await this.#pause(10, 900);
    this.#world.jetStream.resume();
  }

  async #unsaid(): Promise<void> {
    const { jetStream } = this.#world;
    jetStream.habits = { ...jetStream.habits, unsaid: 0.4 };
    await this.#pause(20, 300);
    jetStream.habits = { ...jetStream.habits, unsaid: 0 };
  }

  async #killNode(): Promise<void> {
    const node = this.#node();
    await node.kill();
    await this.#downtime();
    node.open();
  }

  async #closeNode(): Promise<void> {
    const node = this.#node();
    await node.close();
    await this.#downtime();
    node.open();
  }

  async #stall(): Promise<void> {
    this.#node().clock?.stall(this.#chance.fraction() * timings.stallMsMax);
  }

  async #shiftClock(): Promise<void> {
    const clock = this.#chance.fraction() < 0.3 ? this.#world.brokerClock : this.#node().clock;
    // A broker whose clock jumps far finds its stream too old.
    clock?.shiftWall((this.#chance.fraction() - 0.5) * (clock === this.#world.brokerClock ? 400 : 5_000_000));
  }

  async #disk(): Promise<void> {
    const { disk } = this.#node();
    if (disk === undefined) return;
    disk.habits = this.#chance.fraction() < 0.7 ? slowDisk : failingDisk;
    await this.#pause(100, 1_000);
    disk.habits = soundDisk;
  }

  #downtime(): Promise<void> {
    return this.#chance.fraction() < 0.5 ? this.#pause(0, 10) : this.#pause(10, 600);
  }

  #node(): NodePlace {
    return oneOf(this.#nodes, this.#chance);
  }

  #pause(msMin: number, msMax: number): Promise<void> {
    return pause(this.#world, this.#chance, msMin, msMax);
  }
}
