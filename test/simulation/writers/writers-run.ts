import { calm, type FaultProfile } from "../../../testing/fault-profile.js";
import { type Fault, oneOf, pause, playFaults } from "../common/play-faults.js";
import type { RunResult } from "../objects/run.js";
import { SimulatedWriter } from "./simulated-writer.js";
import { foundAfterMs, Verdicts, WritersWorld } from "./writers-world.js";

/**
 * Simulated time in ms: with faults; then without faults until one server is left, at most; then for which that server
 * must stay the only one.
 */
const stormMs = 20_000;
const calmMs = 20_000;
const steadyMs = 4_000;

const storm: FaultProfile = { delayMsMin: 0.5, delayMsMax: 60, loss: 0.05, duplication: 0.1, straying: 0.2, strayDelayMsMax: 400 };

/**
 * Several servers start on one storage, each on its own disk: by mistake, or because an operator takes the earlier one
 * for dead. Some get no messages: their requests are answered, but the answers do not reach them.
 */
export async function simulateWriters(seed: number, trace?: (line: string) => void): Promise<RunResult> {
  const judge = new Verdicts();
  const world = new WritersWorld(seed, judge, trace);
  const { clock, network, setups } = world;
  const random = world.random();
  const count = 2 + Math.floor(random.fraction() * 2);
  for (let index = 1; index <= count; index++) setups.push(new SimulatedWriter(world, `s${index}`));
  let isOver = false;
  const some = () => oneOf(setups, random);
  const wait = (min: number, max: number) => pause(world, random, min, max);
  const faults: readonly Fault[] = [
    [
      3,
      "cannot hear",
      async () => {
        network.deafen(some().name);
        await wait(500, 6_000);
        network.heal();
      },
    ],
    [
      2,
      "sever",
      async () => {
        network.sever(some().name, some().name);
        await wait(500, 4_000);
        network.heal();
      },
    ],
    [
      2,
      "cut",
      async () => {
        const { end } = some();
        end?.cut();
        await wait(10, 3_000);
        end?.mend();
      },
    ],
    [
      3,
      "killed",
      async () => {
        const setup = some();
        setup.kill();
        await wait(0, 2_000);
        if (!isOver) setup.start();
      },
    ],
    [2, "held up", async () => some().clock?.stall(random.fraction() * 4_000)],
    [
      1,
      "broker stops",
      async () => {
        network.stop();
        await wait(10, 1_500);
        network.start();
      },
    ],
    [
      2,
      "fault profile",
      async () => {
        network.profile = storm;
        await wait(200, 3_000);
        network.profile = calm;
      },
    ],
  ];
  const onRejection = (error: unknown): void => {
    judge.violated(13, "every promise that rejects has a handler", { error: error instanceof Error ? error.stack : String(error) });
  };
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
  try {
    for (const setup of setups) {
      void (async () => {
        await wait(0, 1_500);
        setup.start();
      })();
    }
    void playFaults(faults, { stage: world, random, pauseMs: [100, 1_500], isOver: () => isOver });
    await world.holdsWithin(() => false, stormMs);
    isOver = true;
    world.note("fault", "no more");
    network.profile = calm;
    network.heal();
    network.start();
    for (const setup of setups) {
      setup.end?.mend();
      setup.start();
    }
    // A stalled server learns only afterwards of the servers that ran meanwhile, and may have to end for them.
    await world.holdsWithin(() => setups.every(({ clock: own }) => own?.isHeldUp !== true), calmMs);
    await world.holdsWithin(() => false, foundAfterMs);
    const serving = () => setups.filter(({ isServing }) => isServing);
    const names = () => serving().map(({ name }) => name);
    const isOneLeft = () => serving().length === 1 && serving().every(({ presentMs }) => presentMs > foundAfterMs);
    if (!world.isViolated && !(await world.holdsWithin(isOneLeft, calmMs)))
      judge.violated(10, "once faults stop, exactly one server is left", { serving: names() });
    const [left] = names();
    await world.holdsWithin(() => names().join() !== left, steadyMs);
    if (!world.isViolated && names().join() !== left)
      judge.violated(10, "the server that is left stays the only one", { left, serving: names() });
  } finally {
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onRejection);
  }
  const violation = judge.violations[0];
  if (violation !== undefined) world.note("world", violation.message);
  return {
    seed,
    violation,
    simulatedMs: clock.monotonic(),
    counts: { begun: world.begun, started: setups.reduce((sum, { started }) => sum + started, 0) },
  };
}
