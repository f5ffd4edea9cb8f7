import { simulateCache } from "./cache/cache-run.js";
import { simulate } from "./run.js";

/** What can be simulated. */
export const simulations = { store: simulate, cache: simulateCache } as const;

export type Simulated = keyof typeof simulations;
