import type { NetworkEnd } from "../../../testing/network-end.js";
import type { NodeClock } from "../../../testing/simulated-clock.js";
import { type Random, delay } from "../../../core/index.js";
import { realm, type RecordWorld } from "./record-world.js";
import { RecordedProcess } from "./recorded-process.js";
import { SlowClock } from "./slow-clock.js";
import type { Place, Tenant } from "./users.js";

interface Life {
  readonly process: RecordedProcess;
  readonly end: NetworkEnd;
  readonly clock: NodeClock;
  readonly slow: SlowClock;
  readonly tenant: Tenant;
}

/** A process with actors, which is killed and opened again. */
export class SimulatedHost {
  readonly name: string;
  readonly #world: RecordWorld;
  readonly #random: Random;
  readonly #tenantOf: (place: Place & { readonly end: NetworkEnd }) => Tenant;
  #life: Life | undefined;

  constructor(world: RecordWorld, name: string, tenantOf: (place: Place & { readonly end: NetworkEnd }) => Tenant) {
    this.name = name;
    this.#world = world;
    this.#random = world.random();
    this.#tenantOf = tenantOf;
  }

  /** Undefined while the process is down. */
  get process(): RecordedProcess | undefined {
    return this.#life?.process;
  }

  get tenant(): Tenant | undefined {
    return this.#life?.tenant;
  }

  get end(): NetworkEnd | undefined {
    return this.#life?.end;
  }

  get clock(): NodeClock | undefined {
    return this.#life?.clock;
  }

  open(): void {
    if (this.#life !== undefined) return;
    const world = this.#world;
    world.note(this.name, "opens");
    const log = world.log(this.name);
    const clock = world.clock.node((this.#random.fraction() - 0.5) * 10_000);
    const slow = new SlowClock(clock);
    const end = world.network.connect(this.name, { clock, log, awake: clock.awake });
    const process: RecordedProcess = new RecordedProcess({
      ...{ realm, end, clock: slow, random: world.random(), log },
      onFrame: (frame) => world.checker.sent(process, frame),
    });
    const tenant = this.#tenantOf({ name: this.name, process, clock, end, random: world.random(), log });
    const life = { process, end, clock, slow, tenant };
    this.#life = life;
    void this.#live(life);
  }

  /** From now on recording takes so long that it exceeds its part of the processor; 0 ends that. */
  slowDown(costMs: number): void {
    if (this.#life !== undefined) this.#life.slow.costMs = costMs;
  }

  burst(): void {
    const { clock, tenant } = this.#life ?? {};
    clock?.awake(() => tenant?.burst());
  }

  kill(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#world.note(this.name, "killed");
    this.#life = undefined;
    life.clock.stop();
    life.end.kill();
    life.tenant.killed();
  }

  async close(): Promise<void> {
    const life = this.#life;
    if (life === undefined || life.clock.isHeldUp) return;
    this.#world.note(this.name, "closes");
    this.#life = undefined;
    await life.tenant.close().catch((error: unknown) => this.#world.unlessExpected(this.name, error));
    life.process.act(() => life.process.system.close());
    void life.end.close();
    life.clock.stop();
  }

  async #live(life: Life): Promise<void> {
    const { clock, tenant } = life;
    const pauseMs = tenant.pauseMs * (0.2 + this.#random.fraction());
    while (this.#life === life && !this.#world.isViolated) {
      const isCalm = this.#world.isCalm && this.#random.fraction() < 0.9;
      await delay(clock, this.#random.fraction() * pauseMs * (isCalm ? 20 : 1));
      if (!this.#world.isQuiet && this.#life === life) tenant.act();
    }
  }
}
