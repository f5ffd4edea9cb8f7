#!/usr/bin/env bash
# A state machine that fails leaves its invoked actors running.
#
# xstate 5.33.3. A machine invokes a callback actor that holds a timer, then an action of the machine throws. One
# expects the effects of `stop()`: the callback's clean-up function runs, and the timer ends. But the machine's status
# becomes "error", while the invoked actor stays "active", its clean-up function is never called, and its timer goes on
# as long as the process lives. `stop()` on the failed machine comes too late and changes nothing. A machine that is
# stopped, or that reaches a final state, cleans up.
# So a supervisor that starts a failed machine again has the old machine's sockets and timers beside the new ones.
# Source: packages/core/src/createActor.ts of statelyai/xstate, the comment in `_error` about orphaned actors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent xstate@5.33.3
cat >run.mjs <<'JS'
import { createActor, createMachine, fromCallback } from "xstate";

async function endedBy(end) {
  let cleanUps = 0;
  let ticks = 0;
  let timer;
  const ticking = fromCallback(() => {
    timer = setInterval(() => ticks++, 2);
    return () => {
      cleanUps++;
      clearInterval(timer);
    };
  });
  const machine = createMachine({
    invoke: { src: ticking, id: "ticking" },
    initial: "on",
    states: { on: { on: { FAIL: { actions: () => { throw new Error("an action failed"); } }, FINISH: "off" } }, off: { type: "final" } },
  });
  const actor = createActor(machine);
  actor.subscribe({ error: () => undefined });
  actor.start();
  const { ticking: child } = actor.getSnapshot().children;
  end(actor);
  const before = ticks;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const line = `${actor.getSnapshot().status}: invoked actor ${child.getSnapshot().status}, clean-ups ${cleanUps}, timer ${ticks > before ? "goes on" : "ended"}`;
  clearInterval(timer);
  return line;
}

console.log(await endedBy((actor) => actor.stop()));
console.log(await endedBy((actor) => actor.send({ type: "FINISH" })));
console.log(await endedBy((actor) => actor.send({ type: "FAIL" })));
console.log(await endedBy((actor) => { actor.send({ type: "FAIL" }); actor.stop(); }));
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
stopped: invoked actor stopped, clean-ups 1, timer ended
done: invoked actor stopped, clean-ups 1, timer ended
error: invoked actor active, clean-ups 0, timer goes on
error: invoked actor active, clean-ups 0, timer goes on
SEEN
echo "as described"
