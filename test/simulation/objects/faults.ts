import { healthyDisk } from "../../../testing/simulated-disk.js";
import type { DiskFaults } from "../../../testing/simulated-disk.js";
import { calm } from "../../../testing/fault-profile.js";
import type { FaultProfile } from "../../../testing/fault-profile.js";
import type { Random } from "../../../core/index.js";
import { type Fault, oneOf, pause, playFaults } from "../common/play-faults.js";
import type { SimulatedClient } from "./simulated-client.js";
import type { SimulatedServer } from "./simulated-server.js";
import type { World } from "./world.js";

const breeze: FaultProfile = { delayMsMin: 0.2, delayMsMax: 10, loss: 0.01, duplication: 0.02, straying: 0.15, strayDelayMsMax: 80 };
const storm: FaultProfile = { delayMsMin: 0.5, delayMsMax: 60, loss: 0.06, duplication: 0.1, straying: 0.25, strayDelayMsMax: 400 };
const slowDisk: DiskFaults = { latencyMsMin: 5, latencyMsMax: 120, notifyMsMax: 40, inTurn: 0, doubt: 0 };
const failingDisk: DiskFaults = { latencyMsMin: 0.5, latencyMsMax: 10, notifyMsMax: 5, inTurn: 0.3, doubt: 0.15 };

const hourMs = 3_600_000;
const yearMs = 365 * 24 * hourMs;

/** The faults of one run, and their times. */
export class Faults {
  readonly #world: World;
  readonly #server: SimulatedServer;
  readonly #clients: readonly SimulatedClient[];
  readonly #random: Random;
  /**
   * Whether the server is restored, which loses acknowledged commits. Only some runs have it, so that the others can
   * demand more.
   */
  readonly #hasRestores: boolean;
  #isOver = false;
  /** Number of wrong wall clocks that may still be set right. */
  #clocksSet = 0;

  readonly #stalls: boolean;
  /**
   * Whether wall clocks are set by hours or years, and back. Only some runs have it, because their tids say little of
   * the time.
   */
  readonly hasJumps: boolean;

  /** `stalls`: clients are stalled now and then. */
  constructor(world: World, server: SimulatedServer, clients: readonly SimulatedClient[], { stalls }: { readonly stalls: boolean }) {
    this.#stalls = stalls;
    this.#world = world;
    this.#server = server;
    this.#clients = clients;
    this.#random = world.random();
    this.#hasRestores = this.#random.fraction() < 0.35;
    this.hasJumps = this.#random.fraction() < 0.25;
  }

  /** Plays one fault after the other, several at once, until `end`. */
  run(): Promise<void> {
    const faults: readonly Fault[] = [
      [3, "fault profile", () => this.#profile()],
      [3, "sever", () => this.#sever()],
      [2, "cut", () => this.#cut()],
      [1, "broker stops", () => this.#stopBroker()],
      [3, "client killed", () => this.#killClient()],
      [1, "client closed", () => this.#closeClient()],
      [2, "server killed", () => this.#killServer()],
      [2, "server's disk", () => this.#serverDisk()],
      [1, "client's disk", () => this.#clientDisk()],
      [this.#stalls ? 2 : 0, "client held up", () => this.#stall()],
      [1, "clock", () => this.#shiftClock()],
      [this.hasJumps ? 3 : 0, "clock set", () => this.#setClock()],
      [this.#hasRestores ? 4 : 0, "restored", () => this.#restore()],
    ];
    return playFaults(faults, {
      stage: this.#world,
      random: this.#random,
      pauseMs: [30, 450],
      isOver: () => this.#isOver,
    });
  }

  /** Whether a wall clock may still be set: that does not end with the faults. */
  get isSettingClocks(): boolean {
    return this.#clocksSet > 0;
  }

  /**
   * Ends all faults: from now on everything works and every process runs. A server on probation is left alone: it
   * serves again by itself.
   */
  end(): void {
    this.#isOver = true;
    this.#world.note("fault", "no more");
    this.#world.network.profile = calm;
    this.#world.network.heal();
    this.#world.network.start();
    this.#server.disk.faults = healthyDisk;
    this.#server.end?.mend();
    this.#server.start();
    for (const client of this.#clients) {
      if (client.disk !== undefined) client.disk.faults = healthyDisk;
      client.end?.mend();
      client.open();
    }
  }

  async #profile(): Promise<void> {
    const { network } = this.#world;
    network.profile = this.#random.fraction() < 0.5 ? storm : breeze;
    await this.#pause(200, 2_000);
    if (!this.#isOver) network.profile = this.#random.fraction() < 0.5 ? breeze : calm;
  }

  /**
   * One client and the server no longer receive each other's messages, in one direction or both, while both are linked
   * to the broker.
   */
  async #sever(): Promise<void> {
    const { network } = this.#world;
    const { name } = this.#client();
    const dice = this.#random.fraction();
    if (dice < 0.7) network.sever("server", name);
    if (dice > 0.5) network.sever(name, "server");
    await this.#pause(50, 2_500);
    network.heal();
  }

  async #cut(): Promise<void> {
    const end = this.#random.fraction() < 0.3 ? this.#server.end : this.#client().end;
    end?.cut();
    await this.#pause(10, 1_000);
    end?.mend();
  }

  async #stopBroker(): Promise<void> {
    this.#world.network.stop();
    await this.#pause(10, 1_200);
    this.#world.network.start();
  }

  async #killClient(): Promise<void> {
    const client = this.#client();
    await client.kill();
    await this.#pause(0, 1_000);
    client.open();
  }

  async #closeClient(): Promise<void> {
    const client = this.#client();
    await client.close();
    await this.#pause(0, 1_000);
    client.open();
  }

  /**
   * Kills the server and starts it again as another instance. Its links to the broker are new; the links of its clients
   * never drop.
   */
  async #killServer(): Promise<void> {
    this.#server.kill();
    await this.#downtime();
    // A new instance does not know the snapshots of clients. On a slow disk, its half-done work on the history can be
    // observed.
    if (this.#random.fraction() < 0.5 && !this.#isOver) this.#server.disk.faults = slowDisk;
    this.#server.start();
    await this.#pause(300, 900);
    this.#server.disk.faults = healthyDisk;
  }

  async #serverDisk(): Promise<void> {
    this.#server.disk.faults = this.#random.fraction() < 0.5 ? slowDisk : failingDisk;
    await this.#pause(200, 1_500);
    this.#server.disk.faults = healthyDisk;
    this.#server.repair();
  }

  async #clientDisk(): Promise<void> {
    const { disk } = this.#client();
    if (disk === undefined) return;
    disk.faults = this.#random.fraction() < 0.8 ? slowDisk : failingDisk;
    await this.#pause(200, 1_500);
    disk.faults = healthyDisk;
  }

  /** The client does nothing for a while, as when a computation holds the event loop. */
  async #stall(): Promise<void> {
    this.#client().clock?.stall(this.#random.fraction() * 1_500);
  }

  async #shiftClock(): Promise<void> {
    this.#server.shiftWall((this.#random.fraction() - 0.6) * 5_000);
  }

  /** Sets a wall clock far ahead or back, and mostly right again after a while. */
  async #setClock(): Promise<void> {
    const ms = (this.#random.fraction() - 0.4) * (this.#random.fraction() < 0.3 ? 48 * hourMs : 5 * yearMs);
    const setup = this.#random.fraction() < 0.7 ? this.#server : this.#client();
    setup.shiftWall(ms);
    this.#clocksSet++;
    await this.#pause(10, 1_500);
    this.#clocksSet--;
    if (this.#random.fraction() < 0.7) setup.shiftWall(-ms);
  }

  async #restore(): Promise<void> {
    this.#server.backUp();
    await this.#pause(50, 1_500);
    if (this.#isOver) return;
    this.#server.restore();
    await this.#downtime();
    this.#server.start();
  }

  /** Downtime of a server: often so short that no client notices. */
  #downtime(): Promise<void> {
    return this.#random.fraction() < 0.5 ? this.#pause(0, 10) : this.#pause(10, 1_000);
  }

  #client(): SimulatedClient {
    return oneOf(this.#clients, this.#random);
  }

  #pause(msMin: number, msMax: number): Promise<void> {
    return pause(this.#world, this.#random, msMin, msMax);
  }
}
