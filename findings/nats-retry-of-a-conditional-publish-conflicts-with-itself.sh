#!/usr/bin/env bash
# A publish with a message id and an expected sequence, sent again after it succeeded, is a duplicate on one server and
# a conflict on another.
#
# nats-server 2.9.10, 2.10.27 and 2.15.1, each alone, @nats-io/jetstream 3.3.1. A publisher whose acknowledgement was
# lost sends the same message again: with the same `msgID` and the same expectation. One expects `duplicate: true` with
# the sequence of the first copy, since this is the purpose of the message id. Up to 2.10.27 it is so. On 2.15.1, for a
# stream with one replica, the answer is error 10071, "wrong last sequence": the server checks the expectation before
# the id, and the first copy has made the expectation false. A publisher that takes 10071 for "another publisher was
# first" gives up a write that it made, or makes it once more under a new id. With the id alone, the copy is a duplicate
# on all of them.
# Safe on all servers: after 10071 for a copy, read the message at the sequence that the publisher expected to be free,
# and compare it.
# Source: processJetStreamMsg in server/stream.go of nats-io/nats-server.
# Uses the servers in NATS_SERVERS (paths separated by spaces); default: apt's (Debian 12: 2.9.10) and the one of Debian
# sid.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
servers=""
for server in ${NATS_SERVERS:-}; do servers="$servers $(realpath "$server")"; done
cd "$folder"
# The nats-server of this machine's Debian release or, with options for apt, of another release.
unpacked() {
  mkdir -p "$1"
  (cd "$1" && apt-get "${@:2}" download nats-server >/dev/null 2>&1 && dpkg-deb -x nats-server_*.deb unpacked)
  find "$folder/$1" -name nats-server -type f -perm -u+x | head -n 1
}
if [ -z "$servers" ]; then
  source=$(apt-get indextargets --format '$(REPO_URI)' 'Component: main' | grep /debian | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source sid main" >sid.list
  mkdir -p lists/partial cache/archives/partial
  of_sid=(-o "Dir::Etc::sourcelist=$folder/sid.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
  apt-get "${of_sid[@]}" update >/dev/null 2>&1
  servers="$(unpacked here) $(unpacked sid "${of_sid[@]}")"
fi
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @nats-io/transport-node@3.3.1 @nats-io/jetstream@3.3.1
cat >run.mjs <<'JS'
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const home = mkdtempSync("server-");
const server = spawn(process.argv[2], ["-a", "127.0.0.1", "-p", "-1", "-js", "-sd", `${home}/store`, "--ports_file_dir", home], { stdio: "ignore" });
try {
  let url;
  for (let tries = 0; url === undefined && tries < 400; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const file = readdirSync(home).find((name) => name.endsWith(".ports"));
    if (file !== undefined) url = JSON.parse(readFileSync(`${home}/${file}`, "utf8") || "{}").nats?.[0];
  }
  const nc = await connect({ servers: url });
  await (await jetstreamManager(nc)).streams.add({ name: "orders", subjects: ["orders.>"] });
  const js = jetstream(nc);
  const publish = async (subject, options) => {
    const said = ({ seq, duplicate }) => `sequence ${seq}${duplicate ? ", duplicate" : ""}`;
    return js.publish(subject, "an order", options).then(said, (error) => `error ${error.code}`);
  };
  const old = nc.info.version.split(".").map(Number)[1] < 11;
  const of = old ? "before 2.11" : "from 2.15";
  for (const [name, subject, options] of [
    ["id", "orders.1", { msgID: "one" }],
    ["id and last sequence of the subject", "orders.2", { msgID: "two", expect: { lastSubjectSequence: 0 } }],
    ["id and last sequence of the stream", "orders.3", { msgID: "three", expect: { lastSequence: 2 } }],
  ]) {
    console.log(`${of}, ${name}: ${await publish(subject, options)}, then ${await publish(subject, options)}`);
  }
  await nc.close();
} finally {
  server.kill();
}
JS
for server in $servers; do
  "$server" --version
  node run.mjs "$server" | tee -a seen
done
sort -u seen >all
diff all - <<'SEEN'
before 2.11, id and last sequence of the stream: sequence 3, then sequence 3, duplicate
before 2.11, id and last sequence of the subject: sequence 2, then sequence 2, duplicate
before 2.11, id: sequence 1, then sequence 1, duplicate
from 2.15, id and last sequence of the stream: sequence 3, then error 10071
from 2.15, id and last sequence of the subject: sequence 2, then error 10071
from 2.15, id: sequence 1, then sequence 1, duplicate
SEEN
echo "as described"
