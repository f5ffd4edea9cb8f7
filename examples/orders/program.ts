import { Command, InvalidArgumentError } from "commander";
import { jsonOption } from "../../cli/connection.js";
import { option, parseChoice, parseInteger } from "../../cli/parsing.js";
import type { Surroundings } from "../../cli/surroundings.js";
import { type OrdersFlags, runOrders } from "./run-orders.js";

/** The command that `npm run orders` runs: a broker, an order service and a payment service on this machine. */
export function createOrders(surroundings: Surroundings): Command {
  return new Command("npm run orders --")
    .description("Runs a broker, an order service and a payment service, whose actors talk, fail, and are started again.")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .addOption(option("--port <port>", "ZOOID_BROKER_PORT", "port of the broker").argParser(parseInteger(1, 65_535)).default(4222))
    .addOption(
      option("--broker <kind>", "ZOOID_BROKER", "nats, in-process, or auto: nats if a nats-server is found")
        .argParser(parseChoice(["auto", "nats", "in-process"]))
        .default("auto"),
    )
    .addOption(option("--data <folder>", "ZOOID_DATA", "folder of logs").default(".zooid"))
    .addOption(
      option("--every <ms>", "ZOOID_ORDERS_EVERY", "an order comes at this interval").argParser(parseInteger(1, 3_600_000)).default(1_000),
    )
    .addOption(
      option("--orders <count>", "ZOOID_ORDERS", "end after so many orders were shipped")
        .argParser(parseInteger(0, 1_000_000))
        .default(0, "never"),
    )
    .addOption(
      option("--bank-failures <share>", "ZOOID_BANK_FAILURES", "share of the bank's answers that fail").argParser(parseShare).default(0.2),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  $ npm run orders
  $ npm run orders -- --every 200 --bank-failures 0.5
  $ npm run orders -- --orders 5
  $ npm run --silent orders -- --json | jq -c 'select(.event == "failed")'`,
    )
    .action((flags: OrdersFlags) => runOrders(flags, surroundings));
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() === "" || !(share >= 0 && share <= 1)) throw new InvalidArgumentError("It is a number from 0 to 1.");
  return share;
}
