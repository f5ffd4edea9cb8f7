/** Runs the seeds it is sent, one at a time, and sends back what came of each. Ends with its parent. */
import { simulate } from "./run.js";

process.on("message", (seed: number) => {
  void simulate(seed).then((result) => process.send?.({ ...result, violation: result.violation?.message }));
});
process.once("disconnect", () => process.exit());
