/** `npm run kills`: runs the rounds on a broker, and prints each. */
import { Command } from "commander";
import { parseInteger } from "../../../cli/parsing.js";
import { seededRandom } from "../../../core/index.js";
import { createBroker, serveBroker } from "../../../actors/index.js";
import { startNatsServer } from "../../support/nats-server.js";
import { runKills } from "./kills.js";

const flags = new Command("npm run kills --")
  .description(
    "Kills and suspends the services of examples/orders, and checks that no event is accepted twice and that losses are noticed.",
  )
  .option("--rounds <count>", "signals", parseInteger(1, 100_000), 100)
  .option("--seed <number>", "decides the signals", parseInteger(0, 2 ** 31), Date.now() % 1_000_000)
  .option("--broker <kind>", "nats or in-process", "nats")
  .option("--heartbeat-timeout <ms>", "of all processes", parseInteger(1, 60_000), 3_500)
  .option("--slack <ms>", "time beyond the time-out in which a loss must be noticed", parseInteger(1, 60_000), 1_500)
  .addHelpText("after", "\nExamples:\n  $ npm run kills -- --rounds 100\n  $ npm run kills -- --rounds 20 --broker in-process --seed 7")
  .parse()
  .opts<{ rounds: number; seed: number; broker: string; heartbeatTimeout: number; slack: number }>();

const broker = flags.broker === "nats" ? await startNatsServer() : await serveBroker({ broker: createBroker() });
console.log(`seed ${flags.seed}, broker ${broker.url}`);
const result = await runKills({
  servers: broker.url,
  rounds: flags.rounds,
  random: seededRandom(flags.seed),
  heartbeatTimeoutMs: flags.heartbeatTimeout,
  slackMs: flags.slack,
  log: (line) => console.log(line),
});
await ("stop" in broker ? broker.stop() : broker.close());
console.log(JSON.stringify(result, undefined, 2));
process.exitCode = result.violations.length === 0 ? 0 : 1;
