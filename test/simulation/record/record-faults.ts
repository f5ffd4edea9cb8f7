import { calm, type FaultProfile } from "../../../testing/fault-profile.js";
import type { Random } from "../../../core/index.js";
import { type Fault, oneOf, pause, playFaults } from "../common/play-faults.js";
import type { RecordWorld } from "./record-world.js";
import type { SimulatedHost } from "./simulated-host.js";
import type { SimulatedWatcher } from "./simulated-watcher.js";

const breeze: FaultProfile = { delayMsMin: 0.2, delayMsMax: 10, loss: 0.01, duplication: 0.02, straying: 0.1, strayDelayMsMax: 80 };
const storm: FaultProfile = { delayMsMin: 0.5, delayMsMax: 60, loss: 0.06, duplication: 0.1, straying: 0.25, strayDelayMsMax: 400 };

export interface Cast {
  readonly hosts: readonly SimulatedHost[];
  readonly watchers: readonly SimulatedWatcher[];
  /** Servers of the store, of which one runs at a time. */
  readonly servers: readonly SimulatedHost[];
}

/** The faults of one run, and the times at which watchers come and go. */
export class RecordFaults {
  readonly #world: RecordWorld;
  readonly #cast: Cast;
  readonly #random: Random;
  /** Whether links are good: then records have no gaps. */
  readonly #hasGoodLinks: boolean;
  readonly #hasBursts: boolean;
  readonly #isSlow: boolean;
  #burstsLeft = 2;
  #isOver = true;

  constructor(world: RecordWorld, cast: Cast) {
    this.#world = world;
    this.#cast = cast;
    this.#random = world.random();
    this.#hasGoodLinks = this.#random.fraction() < 0.3;
    this.#hasBursts = this.#random.fraction() < 0.25;
    this.#isSlow = this.#random.fraction() < 0.2;
  }

  run(): Promise<void> {
    this.#isOver = false;
    const links = this.#hasGoodLinks ? 0 : 1;
    const faults: readonly Fault[] = [
      [3 * links, "fault profile", () => this.#profile()],
      [2 * links, "sever", () => this.#sever()],
      [2 * links, "cut", () => this.#cut()],
      [1 * links, "broker stops", () => this.#stopBroker()],
      [2, "watcher killed", () => this.#loseWatcher((watcher) => watcher.kill())],
      [2, "watcher leaves", () => this.#loseWatcher((watcher) => watcher.leave())],
      [2, "host killed", () => this.#killHost()],
      [1, "host closed", () => this.#closeHost()],
      [1, "held up", async () => this.#any().clock?.stall(this.#random.fraction() * 2_500)],
      [1, "clock", async () => this.#any().clock?.shiftWall((this.#random.fraction() - 0.5) * 20_000)],
      [this.#hasBursts ? 6 : 0, "burst", () => this.#burst()],
      [this.#isSlow ? 4 : 0, "slow", () => this.#slowDown()],
      [this.#cast.servers.length > 0 ? 5 : 0, "failover", () => this.#failOver()],
    ];
    return playFaults(faults, { stage: this.#world, random: this.#random, pauseMs: [50, 700], isOver: () => this.#isOver });
  }

  /** From now on everything works, and every process runs. */
  end(): void {
    this.#isOver = true;
    const { network } = this.#world;
    this.#world.note("fault", "no more");
    network.profile = calm;
    network.heal();
    network.start();
    for (const host of this.#cast.hosts) {
      host.slowDown(0);
      if (!this.#cast.servers.includes(host)) host.open();
      host.end?.mend();
    }
    this.#serve();
    for (const watcher of this.#cast.watchers) {
      watcher.open();
      watcher.end?.mend();
    }
  }

  async #profile(): Promise<void> {
    const { network } = this.#world;
    network.profile = this.#random.fraction() < 0.4 ? storm : breeze;
    await this.#pause(200, 3_000);
    if (!this.#isOver) network.profile = this.#random.fraction() < 0.3 ? breeze : calm;
  }

  async #sever(): Promise<void> {
    const { network } = this.#world;
    const { name: host } = oneOf(this.#cast.hosts, this.#random);
    const { name: watcher } = oneOf(this.#cast.watchers, this.#random);
    if (this.#random.fraction() < 0.6) network.sever(host, watcher);
    else network.sever(watcher, host);
    await this.#pause(30, 8_000);
    network.heal();
  }

  async #cut(): Promise<void> {
    const { end } = this.#any();
    end?.cut();
    await this.#pause(10, 3_000);
    end?.mend();
  }

  async #stopBroker(): Promise<void> {
    this.#world.network.stop();
    await this.#pause(10, 2_000);
    this.#world.network.start();
  }

  async #loseWatcher(lose: (watcher: SimulatedWatcher) => void): Promise<void> {
    const watcher = oneOf(this.#cast.watchers, this.#random);
    lose(watcher);
    await this.#pause(0, 4_000);
    watcher.open();
  }

  async #killHost(): Promise<void> {
    const host = this.#host();
    host.kill();
    await this.#pause(0, 2_000);
    host.open();
  }

  async #closeHost(): Promise<void> {
    const host = this.#host();
    await host.close();
    await this.#pause(0, 2_000);
    host.open();
  }

  async #burst(): Promise<void> {
    if (this.#burstsLeft-- > 0) oneOf(this.#cast.hosts, this.#random).burst();
  }

  async #slowDown(): Promise<void> {
    const host = oneOf(this.#cast.hosts, this.#random);
    host.slowDown(2 + this.#random.fraction() * 3);
    await this.#pause(2_500, 5_000);
    host.slowDown(0);
  }

  /** The server of the store is killed, and another process serves instead. */
  async #failOver(): Promise<void> {
    for (const server of this.#cast.servers) server.kill();
    await this.#pause(0, 600);
    this.#serve();
  }

  #serve(): void {
    const { servers } = this.#cast;
    if (servers.length > 0 && servers.every(({ process }) => process === undefined)) oneOf(servers, this.#random).open();
  }

  #host(): SimulatedHost {
    const { hosts, servers } = this.#cast;
    return oneOf(
      hosts.filter((host) => !servers.includes(host)),
      this.#random,
    );
  }

  #any(): SimulatedHost | SimulatedWatcher {
    return oneOf<SimulatedHost | SimulatedWatcher>([...this.#cast.hosts, ...this.#cast.watchers], this.#random);
  }

  #pause(msMin: number, msMax: number): Promise<void> {
    return pause(this.#world, this.#random, msMin, msMax);
  }
}
