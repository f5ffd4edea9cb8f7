import { simulateCache } from "../cache/cache-run.js";
import { simulatePlain } from "../plain/plain-run.js";
import { simulateWriters } from "../writers/writers-run.js";
import { simulateRecord } from "../record/record-run.js";
import { simulate, simulateCoherence, simulateWatchers } from "../objects/run.js";

/** The simulations by name. */
export const simulations = {
  store: simulate,
  watchers: simulateWatchers,
  coherence: simulateCoherence,
  cache: simulateCache,
  plain: simulatePlain,
  writers: simulateWriters,
  record: simulateRecord,
} as const;

export type Simulated = keyof typeof simulations;
