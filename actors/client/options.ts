import type { OpenStore } from "../../storage/kv/ordered-store.js";
import type { Transport } from "../../transport/transport.js";
import {
  asDurationIfGiven,
  atLeastOneMs,
  endlessMs,
  InvalidOptionError,
  limits,
  type Duration,
  type DurationRule,
  type SeamOptions,
  type Seams,
} from "../../core/index.js";
import type { AnySchema, UntypedSchema, Validators } from "../protocol/schema.js";
import type { ActorSystem } from "../system/actor-system.js";

/** Options of every client. */
export interface ClientOptions<Schema extends AnySchema> {
  /**
   * Name of the client, unique in the realm. Shown to people, and part of the addresses of its actors. Default: a
   * random one.
   */
  readonly client?: string | undefined;
  /** The client never writes: a write rejects with ReadOnlyError. Default: false. */
  readonly readOnly?: boolean | undefined;
  /**
   * If the cache and the server have different histories, as after a restore: reject with OtherHistoryError (`refuse`),
   * or empty the cache (`discard`). Default: `refuse`.
   */
  readonly onOtherHistory?: "refuse" | "discard" | undefined;
  /** Validators by patterns of keys. `put` runs them. */
  readonly schemas?: Validators<Schema> | undefined;
  /** Bounds with their defaults: see limits. */
  readonly cacheBytesMax?: number | undefined;
  readonly memoryBytesMax?: number | undefined;
  /**
   * Longest wait for a missing broker or server before the client is opened. 0: rejects once the first attempt has
   * failed. Infinity: waits without a limit. Default: `waitTimeoutMs`.
   */
  readonly connectTimeoutMs?: Duration | undefined;
  /** Infinity: waits without a limit. */
  readonly waitTimeoutMs?: Duration | undefined;
  /** Infinity: waits without a limit. */
  readonly closeTimeoutMs?: Duration | undefined;
  readonly requestTimeoutMs?: Duration | undefined;
  readonly heartbeatTimeoutMs?: Duration | undefined;
  readonly loadsInFlightMax?: number | undefined;
  readonly transactAttemptsMax?: number | undefined;
}

/**
 * Options of a client over seams that are already open, for simulation and tests. Closing the client does not close the
 * transport.
 */
export interface ObjectClientOptions<Schema extends AnySchema> extends ClientOptions<Schema>, SeamOptions {
  readonly realm: string;
  readonly storage: string;
  readonly client: string;
  readonly transport: Transport;
  /** Store of the cache, opened with `durable: false`; undefined: the cache is in memory only. */
  readonly cache?: OpenStore | undefined;
  /** Gives the client's machines their addresses. */
  readonly system?: ActorSystem | undefined;
  /**
   * Called before the client is open. Its argument returns the reason why the client is not connected, or undefined
   * while it is connected.
   */
  readonly onOpening?: ((problem: () => Error | undefined) => void) | undefined;
  /** Called when the client was closed, or could not be opened. Closes the resources that were opened for it. */
  readonly release?: (() => Promise<void>) | undefined;
}

/** Options in which the optional seams are filled in. */
export type OpenClientOptions = ObjectClientOptions<UntypedSchema> & Seams;

const counts = { cacheBytesMax: 0, memoryBytesMax: 0, loadsInFlightMax: 1, transactAttemptsMax: 1 } as const;

const durations = {
  waitTimeoutMs: endlessMs,
  closeTimeoutMs: endlessMs,
  requestTimeoutMs: atLeastOneMs,
  heartbeatTimeoutMs: atLeastOneMs,
} as const satisfies Readonly<Record<string, DurationRule>>;

const otherNames = ["client", "readOnly", "onOtherHistory", "schemas", "connectTimeoutMs"] as const;

/** Names of all options of a client. */
export const clientOptionNames: readonly string[] = [...otherNames, ...Object.keys(counts), ...Object.keys(durations)];

/** The given bounds or their defaults; durations in milliseconds. */
export type ClientBounds = { readonly [name in keyof typeof counts | keyof typeof durations | "connectTimeoutMs"]: number };

/** Throws InvalidOptionError, which names the option. */
export function clientBounds(options: ClientOptions<AnySchema>): ClientBounds {
  const checked: Partial<Record<keyof ClientBounds, number | undefined>> = {};
  for (const name of Object.keys(counts) as (keyof typeof counts)[]) {
    const value = options[name] ?? limits[name];
    if (!(Number.isFinite(value) && value >= counts[name])) {
      throw new InvalidOptionError({ option: name, reason: `is ${String(value)}, not a number from ${counts[name]}` });
    }
    checked[name] = value;
  }
  for (const name of Object.keys(durations) as (keyof typeof durations)[]) {
    checked[name] = asDurationIfGiven(options[name], name, durations[name]) ?? limits[name];
  }
  checked.connectTimeoutMs = asDurationIfGiven(options.connectTimeoutMs, "connectTimeoutMs", endlessMs) ?? checked.waitTimeoutMs;
  return checked as ClientBounds;
}
