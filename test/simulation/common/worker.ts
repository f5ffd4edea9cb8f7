/**
 * Runs the seeds that it receives, one at a time, in the simulation that its argument names, and sends each outcome
 * back. Ends with its parent.
 */
import { outcomeOf } from "./outcome.js";
import { type Simulated, simulations } from "./simulations.js";

const simulate = simulations[process.argv[2] as Simulated];

process.on("message", (seed: number) => {
  void simulate(seed).then((result) => process.send?.(outcomeOf(result)));
});
process.once("disconnect", () => process.exit());
