import { natsServerVersion, requireNatsServer } from "../../scripts/nats-server.mjs";

/** Set-up of the suites that need a nats-server: without one they fail, with the line that says how to get it. */
export default function setup(): void {
  const server = requireNatsServer();
  process.stderr.write(`nats-server ${natsServerVersion(server)}\n`);
}
