#!/usr/bin/env bash
# A machine that is restored from its persisted snapshot waits for ever in a state with `after`.
#
# xstate 5.33.3. A machine is in a state that it leaves `after` 50 ms, or it has raised an event with a delay. Its
# snapshot from `getPersistedSnapshot()` is given to `createActor(machine, { snapshot })`. One expects the restored
# machine to go on: its invoked actors do begin again. But its timers do not exist: the state is never left. The
# snapshot holds no timer, and entering the state, which sets the timer, is not repeated. The actor system has a field
# for timers that are to be restored (`_scheduledEvents`), and no public way to fill it.
# So a service that starts its machines from stored snapshots must set their timers itself.
# Source: packages/core/src/system.ts of statelyai/xstate, `createSystem` and `scheduler`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent xstate@5.33.3
cat >run.mjs <<'JS'
import { createActor, createMachine, fromPromise, raise } from "xstate";

const machines = {
  after: createMachine({ initial: "waiting", states: { waiting: { after: { 50: "gone" } }, gone: {} } }),
  raise: createMachine({
    initial: "waiting",
    states: { waiting: { entry: raise({ type: "GO" }, { delay: 50 }), on: { GO: "gone" } }, gone: {} },
  }),
  invoke: createMachine(
    { initial: "waiting", states: { waiting: { invoke: { src: "work", onDone: "gone" } }, gone: {} } },
    { actors: { work: fromPromise(() => new Promise((resolve) => setTimeout(resolve, 50))) } },
  ),
};
for (const [name, machine] of Object.entries(machines)) {
  const first = createActor(machine).start();
  const snapshot = JSON.parse(JSON.stringify(first.getPersistedSnapshot()));
  const restored = createActor(machine, { snapshot }).start();
  await new Promise((resolve) => setTimeout(resolve, 500));
  console.log(`${name}: the first is ${first.getSnapshot().value}, the restored one is ${restored.getSnapshot().value}`);
}
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
after: the first is gone, the restored one is waiting
raise: the first is gone, the restored one is waiting
invoke: the first is gone, the restored one is gone
SEEN
echo "as described"
