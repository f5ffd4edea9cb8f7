import { type Command, InvalidArgumentError } from "commander";
import { CliCommand } from "../../cli/command.js";
import { jsonOption } from "../../cli/connection.js";
import { option, parseInteger, switchOption } from "../../cli/parsing.js";
import type { Surroundings } from "../../cli/surroundings.js";
import { runUp } from "./up/run-up.js";
import type { UpFlags } from "./up/up-flags.js";

/** The command that `npm start` runs: a broker, a storage server and two services on this machine, with real data. */
export function createExample(surroundings: Surroundings): Command {
  return CliCommand.root("npm start --")
    .description("Runs a broker, a storage server and two services on this machine, with the cities of the world, and shows what they do.")
    .addOption(option("--port <port>", "ZOOID_BROKER_PORT", "port of the broker").argParser(parsePort).default(4222))
    .addOption(
      option(
        "--control-port <port>",
        "ZOOID_CONTROL_PORT",
        "port for HTTP requests to this command, and for clients when there is no nats-server",
      )
        .argParser(parsePort)
        .default(4280),
    )
    .addOption(
      option("--service-ports <ports>", "ZOOID_SERVICE_PORTS", "ports of the two services")
        .argParser(parsePortPair)
        .default([4281, 4282], "4281,4282"),
    )
    .addOption(option("--data <folder>", "ZOOID_DATA", "folder of data, caches and logs").default(".zooid"))
    .addOption(switchOption("--fresh", "ZOOID_FRESH", "delete the data of earlier runs first"))
    .addOption(
      option("--broker <kind>", "ZOOID_BROKER", "nats, in-process, or auto: nats if a nats-server is found")
        .argParser(parseBroker)
        .default("auto"),
    )
    .addOption(
      option("--cities <count>", "ZOOID_CITIES", "import this many cities")
        .argParser(parseInteger(0, 10_000_000))
        .default(10_000_000, "all"),
    )
    .addOption(switchOption("--once", "ZOOID_ONCE", "end after the scenario"))
    .addOption(jsonOption())
    .notes(
      `
On a terminal: s stops or starts the storage server, b the broker, m shows the machines, q ends.
The same over HTTP, from this machine only:
  $ curl -s -X POST http://127.0.0.1:4280/server/stop      # /server/start, /broker/stop, /broker/start, /scenario, /quit
  $ curl -s http://127.0.0.1:4280/machines/connection?of=A # /machines, /status

Examples:
  $ npm start
  $ npm start -- --fresh --cities 2000 --once
  $ npm start -- --port 5222 --control-port 5280 --service-ports 5281,5282
  $ npm start --silent -- --json`,
    )
    .action((flags: UpFlags) => runUp(flags, surroundings));
}

function parseBroker(text: string): string {
  if (!["auto", "nats", "in-process"].includes(text)) throw new InvalidArgumentError("It is auto, nats or in-process.");
  return text;
}

const parsePort = parseInteger(1, 65_535);

/** Two different ports, separated by a comma. */
function parsePortPair(text: string): readonly [number, number] {
  const parts = text.split(",");
  const [first, second] = parts;
  if (parts.length !== 2 || first === undefined || second === undefined || first.trim() === second.trim()) {
    throw new InvalidArgumentError("It must be two different ports with a comma: 4281,4282.");
  }
  return [parsePort(first), parsePort(second)];
}
