#!/usr/bin/env bash
# A message that passes through two republishing streams names the first stream's sequence first.
#
# nats-server 2.9.10 and 2.15.1, @nats-io/jetstream 3.3.1. A stream with `republish` adds Nats-Stream, Nats-Sequence and
# similar headers to each message that it republishes. A relay takes such messages and publishes them, with their
# headers, to a second stream that republishes too. One expects that the second stream's headers replace those of the
# first, since they state the message's current place. But they are appended: the message has each header twice, and
# `headers.get("Nats-Sequence")` of the client gives the sequence in the FIRST stream, without a sign that there are
# two. A subscriber of the second stream that finds gaps by this header compares sequences of another stream.
# The last value of each header is the right one: `headers.last("Nats-Sequence")`.
# Source: server/stream.go of nats-io/nats-server, "Check for republish" (genHeader after the message's own).
# Needs apt (Debian 12: nats-server 2.9.10), or NATS_SERVER with the path of another nats-server.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if [ -z "${NATS_SERVER:-}" ]; then
  apt-get download nats-server >/dev/null 2>&1
  dpkg-deb -x nats-server_*.deb unpacked
  NATS_SERVER=$(find unpacked -name nats-server -type f -perm -u+x | head -n 1)
fi
"$NATS_SERVER" --version
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @nats-io/transport-node@3.3.1 @nats-io/jetstream@3.3.1
cat >run.mjs <<'JS'
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const server = spawn(process.env.NATS_SERVER, ["-a", "127.0.0.1", "-p", "-1", "-js", "-sd", "store", "--ports_file_dir", process.cwd()], { stdio: "ignore" });
try {
  let url;
  for (let tries = 0; url === undefined && tries < 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const file = readdirSync(".").find((name) => name.endsWith(".ports"));
    if (file !== undefined) url = JSON.parse(readFileSync(file, "utf8") || "{}").nats?.[0];
  }
  const nc = await connect({ servers: url });
  const streams = await jetstreamManager(nc);
  for (const name of ["first", "second"]) {
    await streams.streams.add({ name, subjects: [`${name}.>`], republish: { src: `${name}.>`, dest: `from.${name}.>` } });
  }
  const js = jetstream(nc);
  // The second stream has other messages already, so that the two count differently.
  for (let count = 0; count < 10; count++) await js.publish("second.other", "x");
  const relay = nc.subscribe("from.first.>", { callback: (_, message) => nc.publish("second.order", message.data, { headers: message.headers }) });
  const seen = new Promise((resolve) => nc.subscribe("from.second.order", { callback: (_, message) => resolve(message.headers) }));
  await nc.flush();
  await js.publish("first.order", "an order");
  const headers = await seen;
  for (const name of ["Nats-Stream", "Nats-Sequence"]) {
    console.log(`${name}: get ${headers.get(name)}, last ${headers.last(name)}, values ${headers.values(name).join(", ")}`);
  }
  relay.unsubscribe();
  await nc.close();
} finally {
  server.kill();
}
JS
NATS_SERVER=$(realpath "$NATS_SERVER") node run.mjs | tee seen
diff seen - <<'SEEN'
Nats-Stream: get first, last second, values first, second
Nats-Sequence: get 1, last 11, values 1, 11
SEEN
echo "as described"
