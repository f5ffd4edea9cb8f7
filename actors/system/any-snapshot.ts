import type { AnyStateMachine } from "xstate";
import type { Value } from "../../core/index.js";

/** The common part of XState's snapshots. Only snapshots of machines have the optional fields. */
export interface AnySnapshot {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly output: unknown;
  readonly error: unknown;
  readonly value?: Value;
  readonly tags?: ReadonlySet<string>;
  readonly machine?: AnyStateMachine;
  hasTag?(tag: string): boolean;
}
