import { jetStreamEnd } from "../../../testing/simulated-jetstream.js";
import { calm, type FaultProfile } from "../../../testing/fault-profile.js";
import { type Fault, playFaults } from "../common/play-faults.js";
import { type JetStreamWorld, streamName } from "./jetstream-world.js";
import { NodeFaults } from "./node-faults.js";
import type { SimulatedNode } from "./simulated-node.js";

const breeze: FaultProfile = { delayMsMin: 0.2, delayMsMax: 10, loss: 0.01, duplication: 0.02, straying: 0.05, strayDelayMsMax: 80 };
const storm: FaultProfile = { delayMsMin: 0.5, delayMsMax: 60, loss: 0.06, duplication: 0.1, straying: 0.2, strayDelayMsMax: 350 };

/** The faults of one run over JetStream, and their times. */
export class JetStreamFaults extends NodeFaults<JetStreamWorld> {
  /**
   * Whether a power failure may remove acknowledged messages. Only some runs have it, so that the others can demand
   * more of the broker.
   */
  readonly #losesPower: boolean;
  readonly isSlow: boolean;

  constructor(world: JetStreamWorld, nodes: readonly SimulatedNode[]) {
    super(world, nodes);
    this.#losesPower = this.random.fraction() < 0.35;
    this.isSlow = this.random.fraction() < 0.12;
  }

  run(): Promise<void> {
    const power = this.#losesPower ? 3 : 0;
    // After it, the stream gives again sequences that entries in the bucket already bear. Only a broker that syncs can
    // exclude that.
    const forgetting = this.nodes.some(({ sharesResults }) => sharesResults) ? 0 : power;
    const slow: readonly Fault[] = [
      [4, "slow link", () => this.slowDown()],
      [1, "node held up", () => this.stall()],
      [1, "node killed", () => this.killNode()],
    ];
    const faults: readonly Fault[] = [
      [3, "fault profile", () => this.#profile()],
      [3, "cut", () => this.#cut()],
      [3, "sever", () => this.#sever()],
      [1, "slow link", () => this.slowDown()],
      [2, "broker killed", () => this.#stopBroker(() => undefined)],
      [1, "broker emptied", () => this.#stopBroker(() => this.#empty())],
      [1, "broker emptied while a node is away", () => this.#away(() => this.#empty())],
      [power, "power failure", () => this.#stopBroker(() => this.#losePower())],
      [forgetting, "a leader without the end", async () => this.#losePower()],
      [power, "power failure while a node is away", () => this.#away(() => this.#losePower())],
      [2, "no leader", () => this.#noLeader()],
      [2, "leaders die", () => this.#unsaid()],
      [3, "node killed", () => this.killNode()],
      [1, "node closed", () => this.closeNode()],
      [2, "node held up", () => this.stall()],
      [1, "clock", () => this.shiftClock()],
      [1, "disk", () => this.disk()],
    ];
    return playFaults(this.isSlow ? slow : faults, {
      stage: this.world,
      random: this.random,
      pauseMs: [20, 350],
      isOver: () => this.isOver,
    });
  }

  protected repair(): void {
    const { jetStream } = this.world;
    jetStream.faults = { ...jetStream.faults, unsaid: 0 };
    jetStream.resume();
  }

  async #profile(): Promise<void> {
    const { network } = this.world;
    network.profile = this.random.fraction() < 0.5 ? storm : breeze;
    await this.pause(100, 1_000);
    if (!this.isOver) network.profile = this.random.fraction() < 0.3 ? breeze : calm;
  }

  async #cut(): Promise<void> {
    const end = this.node().end;
    end?.cut();
    await this.pause(10, 1_200);
    end?.mend();
  }

  /**
   * The broker and a node no longer receive each other's messages, in one direction or both, and neither is notified.
   */
  async #sever(): Promise<void> {
    const { network } = this.world;
    const { name } = this.node();
    const dice = this.random.fraction();
    if (dice < 0.7) network.sever(jetStreamEnd, name);
    if (dice > 0.5) network.sever(name, jetStreamEnd);
    await this.pause(20, 1_000);
    network.heal();
  }

  /** The nodes get their links again one after the other. */
  async #stopBroker(meanwhile: () => void): Promise<void> {
    const { network } = this.world;
    if (!network.isRunning) return;
    network.stop();
    await this.pause(0, 20);
    meanwhile();
    if (this.random.fraction() < 0.5) await this.pause(10, 800);
    network.start();
    await Promise.all(
      this.nodes.map(async ({ end }) => {
        if (this.isOver || this.random.fraction() < 0.3) return;
        end?.cut();
        await this.pause(0, 400);
        end?.mend();
      }),
    );
  }

  /** One node comes back long after the others have gone on. */
  async #away(meanwhile: () => void): Promise<void> {
    const { end } = this.node();
    if (this.random.fraction() < 0.5) {
      end?.cut();
      await this.pause(0, 400);
    }
    const { network } = this.world;
    if (this.isOver || !network.isRunning) {
      end?.mend();
      return;
    }
    network.stop();
    await this.pause(0, 20);
    meanwhile();
    network.start();
    end?.cut();
    await this.pause(200, 1_500);
    end?.mend();
  }

  #empty(): void {
    if (this.isOver) return;
    this.world.note("fault", "the broker loses everything");
    this.world.jetStream.empty();
    this.world.bucket.empty();
  }

  #losePower(): void {
    if (this.isOver) return;
    const { jetStream, checker } = this.world;
    jetStream.losePower(this.random.fraction() * 600);
    this.world.bucket.empty();
    const stream = jetStream.stream(streamName);
    if (stream === undefined) return;
    this.world.note("fault", `the stream ends at ${stream.lastSequence}`);
    checker.lost(
      stream.created,
      stream.lastSequence,
      this.nodes.flatMap(({ life }) => (life === undefined ? [] : [life])),
    );
  }

  async #noLeader(): Promise<void> {
    this.world.jetStream.pause();
    await this.pause(10, 900);
    this.world.jetStream.resume();
  }

  async #unsaid(): Promise<void> {
    const { jetStream } = this.world;
    jetStream.faults = { ...jetStream.faults, unsaid: 0.4 };
    await this.pause(20, 300);
    jetStream.faults = { ...jetStream.faults, unsaid: 0 };
  }
}
