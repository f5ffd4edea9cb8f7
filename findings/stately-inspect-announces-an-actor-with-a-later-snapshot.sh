#!/usr/bin/env bash
# The inspector of Stately announces an actor with a state that the actor reaches only later.
#
# @statelyai/inspect 0.7.2, xstate 5.33.3. A machine is started and gets an event in the same turn of the event loop.
# One expects its messages to tell what happened in order: the actor in its first state, then the next one. But the
# message "@xstate.actor" is made in a timer of 0 ms, and takes the snapshot that the actor has by then: "b", followed
# by the snapshot "a" of its start, and then "b" again. A reader that shows each state as it comes shows a transition
# from "b" to "a" that never was. An invoked promise is announced as done, and starts after that.
# Source: `inspect.next` and `convertXStateEvent` in src/createInspector.ts of statelyai/inspect.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @statelyai/inspect@0.7.2 xstate@5.33.3
cat >run.mjs <<'JS'
import { createInspector } from "@statelyai/inspect";
import { createActor, createMachine } from "xstate";

const machine = createMachine({ id: "m", initial: "a", states: { a: { on: { GO: "b" } }, b: {} } });
const inspector = createInspector({
  send: ({ type, event, snapshot }) => console.log([type, event?.type, snapshot?.value].filter(Boolean).join(" ")),
});
createActor(machine, { inspect: inspector.inspect }).start().send({ type: "GO" });
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
@xstate.actor b
@xstate.event xstate.init
@xstate.snapshot xstate.init a
@xstate.event GO
@xstate.snapshot GO b
SEEN
echo "as described"
