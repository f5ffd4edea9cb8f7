/**
 * Faults of a simulated network. Chances are in [0, 1], for each message and receiver; delays are one-way, in ms.
 * `calm` keeps every promise of transport/transport.ts. Every other profile is worse than a broker that keeps them.
 */
export interface FaultProfile {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** The message never arrives, and the network reports nothing. */
  readonly loss: number;
  /** The message arrives once more, later. */
  readonly duplication: number;
  /** The message leaves the order of its link: it takes up to `strayDelayMsMax`, and others overtake it. */
  readonly straying: number;
  readonly strayDelayMsMax: number;
}

/** No faults: every message arrives once, after 0.1 to 0.5 ms. */
export const calm: FaultProfile = { delayMsMin: 0.1, delayMsMax: 0.5, loss: 0, duplication: 0, straying: 0, strayDelayMsMax: 0 };
