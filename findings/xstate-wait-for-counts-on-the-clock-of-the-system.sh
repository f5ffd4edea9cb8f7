#!/usr/bin/env bash
# `waitFor` counts its time-out on the system's clock, for any clock of its actor.
#
# xstate 5.33.3. An actor takes its time from the `clock` given to `createActor`; its delays, its children and the
# events they raise use that clock too. One expects that the `timeout` of `waitFor(actor, …)`, a function of the same
# library that has the actor, counts on that clock. But it counts on the system's clock. On a SimulatedClock that moves
# an hour at a step, nothing ever times out, so that a test of "gives up after two seconds" passes for a wait of three
# hours. On a clock that stands still, the wait fails after that time in real time, so that a simulation depends on the
# speed of its machine.
# `waitFor` with an AbortSignal that a timer of the same clock aborts does what one expects.
# Source: packages/core/src/waitFor.ts of statelyai/xstate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent xstate@5.33.3
cat >run.mjs <<'JS'
import { createActor, createMachine, SimulatedClock, waitFor } from "xstate";

const hourMs = 3_600_000;
const machine = createMachine({ initial: "working", states: { working: { after: { [3 * hourMs]: "done" } }, done: {} } });

/** Outcome of waiting for `done`, while `pass` lets time pass. */
async function waiting(options, pass) {
  const clock = new SimulatedClock();
  const actor = createActor(machine, { clock }).start();
  const outcome = waitFor(actor, (snapshot) => snapshot.matches("done"), options(clock)).then(
    () => "reached",
    (error) => `failed: ${error.message}`,
  );
  await pass(clock);
  return `after ${clock.now() / hourMs} simulated hours: ${await outcome}`;
}

const threeHours = async (clock) => {
  for (let hours = 0; hours < 3; hours++) {
    clock.increment(hourMs);
    await new Promise(setImmediate);
  }
};
const noTime = () => new Promise((resolve) => setTimeout(resolve, 100));
console.log(`timeout of an hour ${await waiting(() => ({ timeout: hourMs }), threeHours)}`);
console.log(`timeout of 50 ms ${await waiting(() => ({ timeout: 50 }), noTime)}`);
const abortedAfterAnHour = (clock) => {
  const controller = new AbortController();
  clock.setTimeout(() => controller.abort(new Error("an hour is over")), hourMs);
  return { signal: controller.signal };
};
console.log(`signal of the same clock ${await waiting(abortedAfterAnHour, threeHours)}`);
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
timeout of an hour after 3 simulated hours: reached
timeout of 50 ms after 0 simulated hours: failed: Timeout of 50 ms exceeded
signal of the same clock after 3 simulated hours: failed: an hour is over
SEEN
echo "as described"
