import { natsServerVersion, requireNatsServer } from "../../scripts/nats-server.mjs";

/** Set-up of the suites that need a nats-server. Without one they fail, and the error says how to get one. */
export default function setup(): void {
  const server = requireNatsServer();
  process.stderr.write(`nats-server ${natsServerVersion(server)}\n`);
}
