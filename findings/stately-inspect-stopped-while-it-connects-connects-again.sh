#!/usr/bin/env bash
# An inspector that is stopped while it connects, connects again five seconds later.
#
# @statelyai/inspect 0.7.2, ws 8. One expects that `stop()` ends the inspector, and that a script which calls it can
# end. That holds when the connection is open. While it is being made, closing the socket is an error for ws; the
# inspector answers each error with a new attempt five seconds later. So a short script that calls `stop()` at its end
# goes on running, connected, until it is killed.
# Source: `WebSocketAdapter` in src/webSocket.ts of statelyai/inspect: `onerror` calls `start`, also after `stop`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @statelyai/inspect@0.7.2 xstate@5.33.3 ws@8.20.0
cat >run.mjs <<'JS'
import { createWebSocketInspector } from "@statelyai/inspect";
import { once } from "node:events";
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await once(server, "listening");
const inspector = createWebSocketInspector({ url: `ws://127.0.0.1:${server.address().port}` });
inspector.stop();
const startedMs = performance.now();
await once(server, "connection");
console.log(`connected after stop(), ${Math.floor((performance.now() - startedMs) / 2_500) === 2 ? "about 5 s" : "soon"} later`);
process.exit();
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
connected after stop(), about 5 s later
SEEN
echo "as described"
