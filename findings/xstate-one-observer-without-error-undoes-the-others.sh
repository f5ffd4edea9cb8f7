#!/usr/bin/env bash
# An actor's error is handled only when every observer handles it.
#
# xstate 5.33.3. An application handles the error of a failed actor with `actor.subscribe({ error })`. One expects that
# the error is handled if there is such an observer. But xstate also throws it into the process as an uncaught
# exception, after the observer got it, as soon as any other observer of the actor has no `error`: a `subscribe(fn)`
# that saves snapshots, or `select(...).subscribe(fn)`. `waitFor` and `toPromise` have an `error` of their own and do
# not cause this.
# So a library that is given an actor cannot contain its failure by observing it: the application's observers decide.
# Source: packages/core/src/createActor.ts of statelyai/xstate, `_reportError`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent xstate@5.33.3
cat >run.mjs <<'JS'
import { createActor, createMachine, toPromise, waitFor } from "xstate";

let uncaught = 0;
process.on("uncaughtException", () => uncaught++);

async function beside(name, observe) {
  uncaught = 0;
  let handled = 0;
  const actor = createActor(createMachine({ on: { FAIL: { actions: () => { throw new Error("an action failed"); } } } }));
  actor.subscribe({ error: () => handled++ });
  observe(actor);
  actor.start().send({ type: "FAIL" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(`${name}: handled ${handled}, uncaught ${uncaught}`);
}

await beside("an observer with error alone", () => undefined);
await beside("and toPromise", (actor) => toPromise(actor).catch(() => undefined));
await beside("and waitFor", (actor) => waitFor(actor, () => false).catch(() => undefined));
await beside("and subscribe(fn)", (actor) => actor.subscribe(() => undefined));
await beside("and select", (actor) => actor.select((snapshot) => snapshot.value).subscribe(() => undefined));
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
an observer with error alone: handled 1, uncaught 0
and toPromise: handled 1, uncaught 0
and waitFor: handled 1, uncaught 0
and subscribe(fn): handled 1, uncaught 1
and select: handled 1, uncaught 1
SEEN
echo "as described"
