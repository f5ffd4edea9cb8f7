/** Runs the seeds it is sent of what its argument names, one at a time, and sends back what came of each. Ends with its parent. */
import { type Simulated, simulations } from "./jobs.js";

const simulate = simulations[process.argv[2] as Simulated];

process.on("message", (seed: number) => {
  void simulate(seed).then((result) => process.send?.({ ...result, violation: result.violation?.message }));
});
process.once("disconnect", () => process.exit());
