import { Command } from "commander";
import { addCacheSoak } from "./cache-command.js";
import { addServiceSoak } from "./service/command.js";

const program = new Command("npm run soak --").description("Runs real parts under load, and kills some of them, for a long time.");
addCacheSoak(program);
addServiceSoak(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
