import { simulateCache } from "./cache/cache-run.js";
import { simulate, simulateCoherence } from "./run.js";

/** What can be simulated. */
export const simulations = { store: simulate, coherence: simulateCoherence, cache: simulateCache } as const;

export type Simulated = keyof typeof simulations;
