#!/usr/bin/env bash
# A machine that waits with `after` stays in the AsyncLocalStorage context of the request that woke it, for good.
#
# xstate 5.33.3 on Node 20.20. An actor that is started with the process lives outside of any request, so one expects
# that what it does at its own pace (poll, beat, sweep) runs outside of any request too. But each `after` is a timer
# that is set inside `send`, by the code of the sender, and so belongs to the context of that sender. One event from a
# request is enough: the timer that it sets runs in the context of the request, the state that it leads to sets the
# next timer in that context, and so on, as long as nothing else sends an event. Hours later, the machine logs and
# traces under the id of that request, and the context (its user, its transaction, its buffers) stays in memory.
# `actor.start()` and other senders have no effect on timers that run already. A clock whose `setTimeout` first leaves
# the context (AsyncResource.bind at its creation) does what one expects.
# Source: packages/core/src/system.ts (scheduler) and createActor.ts of statelyai/xstate; Node's documentation of
# AsyncLocalStorage.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent xstate@5.33.3
cat >run.mjs <<'JS'
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { createActor, createMachine } from "xstate";

const request = new AsyncLocalStorage();

/** The context of each of the first five beats of a machine that request 17 makes beat at once. */
async function beats(clock) {
  const seen = [];
  const machine = createMachine({
    initial: "resting",
    on: { NOW: { target: ".beating" } },
    states: {
      resting: { after: { 5: "beating" } },
      beating: { entry: () => seen.push(request.getStore() ?? "none"), always: "resting" },
    },
  });
  const actor = createActor(machine, clock === undefined ? {} : { clock }).start();
  await new Promise((resolve) => setTimeout(resolve, 8));
  request.run("request 17", () => actor.send({ type: "NOW" }));
  const before = seen.length - 1;
  while (seen.length < before + 5) await new Promise((resolve) => setTimeout(resolve, 5));
  actor.stop();
  return seen.slice(before, before + 5).join(", ");
}

console.log(`clock of the system: ${await beats()}`);
const outside = new AsyncResource("clock");
console.log(
  `clock outside of requests: ${await beats({
    setTimeout: (action, ms) => outside.runInAsyncScope(() => setTimeout(action, ms)),
    clearTimeout: (timer) => clearTimeout(timer),
  })}`,
);
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
clock of the system: request 17, request 17, request 17, request 17, request 17
clock outside of requests: request 17, none, none, none, none
SEEN
echo "as described"
