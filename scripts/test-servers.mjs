// Runs the suites that need a nats-server on each given server (default: on each that is found):
// npm run test:servers -- [path...]

import { spawnSync } from "node:child_process";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { allNatsServers, howToGetNatsServer, natsServerVersion } from "./nats-server.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// npm runs scripts in the project folder. Relative paths count from the folder in which npm was called.
const given = process.argv.slice(2).map((path) => resolve(process.env["INIT_CWD"] ?? ".", path));
const servers = given.length > 0 ? given : allNatsServers();
if (servers.length === 0) {
  process.stderr.write(`zooid: ${howToGetNatsServer}\n`);
  process.exitCode = 1;
}

/** @type {string[]} */
const results = [];
for (const server of servers) {
  const version = natsServerVersion(server);
  process.stdout.write(`\nnats-server ${version} (${server})\n`);
  const { status } = spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", "--project", "nats"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, NATS_SERVER: server },
  });
  if (status !== 0) process.exitCode = 1;
  results.push(`nats-server ${version}: ${status === 0 ? "passed" : "failed"}`);
}
for (const result of results) process.stdout.write(`${result}\n`);
