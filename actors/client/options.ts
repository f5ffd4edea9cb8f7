import type { OpenStore } from "../../storage/kv/ordered-store.js";
import type { Transport } from "../../transport/transport.js";
import {
  asDurationIfGiven,
  atLeastOneMs,
  endlessMs,
  InvalidOptionError,
  limits,
  type Random,
  type Clock,
  type Duration,
  type DurationRule,
  type Log,
} from "../../core/index.js";
import type { AnySchema, UntypedSchema, Validators } from "../protocol/schema.js";
import type { ActorSystem } from "../system/actor-system.js";

/** Options of every client. */
export interface ClientOptions<Schema extends AnySchema> {
  /** The client's name, for people and for the addresses of its actors; unique in the realm. Default: a random one. */
  readonly client?: string | undefined;
  /** A client that never writes: a write rejects with ReadOnlyError. Default: false. */
  readonly readOnly?: boolean | undefined;
  /**
   * When cache and server have different histories, as after a restore: reject with OtherHistoryError (`refuse`), or empty
   * the cache (`discard`). Default: `refuse`.
   */
  readonly onOtherHistory?: "refuse" | "discard" | undefined;
  /** Validators by patterns of keys, run on `put`. */
  readonly schemas?: Validators<Schema> | undefined;
  /** Bounds with their defaults: see limits. */
  readonly cacheBytesMax?: number | undefined;
  readonly memoryBytesMax?: number | undefined;
  /**
   * How long to wait for a broker or a server that is missing before the client is opened; 0: it rejects once the first attempt has failed.
   * Infinity: for as long as it takes. Default: `waitTimeoutMs`.
   */
  readonly connectTimeoutMs?: Duration | undefined;
  /** Infinity: for as long as it takes. */
  readonly waitTimeoutMs?: Duration | undefined;
  /** Infinity: for as long as it takes. */
  readonly closeTimeoutMs?: Duration | undefined;
  readonly requestTimeoutMs?: Duration | undefined;
  readonly heartbeatTimeoutMs?: Duration | undefined;
  readonly loadsInFlightMax?: number | undefined;
  readonly transactAttemptsMax?: number | undefined;
}

/** A client over seams that were opened before: what simulation and tests use. The transport is not closed with it. */
export interface ObjectClientOptions<Schema extends AnySchema> extends ClientOptions<Schema> {
  readonly realm: string;
  readonly storage: string;
  readonly client: string;
  readonly transport: Transport;
  /** Store of the cache, opened with `durable: false`; undefined: the cache is in memory only. */
  readonly cache?: OpenStore | undefined;
  /** Where time comes from, in a test. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Where random ids come from, in a test. Default: the system's. */
  readonly random?: Random | undefined;
  readonly log?: Log | undefined;
  /** Where the client's machines get their addresses. */
  readonly system?: ActorSystem | undefined;
  /** Called before the client is open. Its argument returns the reason why the client is not connected; undefined while it is. */
  readonly onOpening?: ((problem: () => Error | undefined) => void) | undefined;
  /** Called when the client was closed, or could not be opened: closes what was opened for it. */
  readonly release?: (() => Promise<void>) | undefined;
}

/** Options with the seams that they may leave out. */
export type OpenClientOptions = ObjectClientOptions<UntypedSchema> & { readonly clock: Clock; readonly random: Random };

const counts = { cacheBytesMax: 0, memoryBytesMax: 0, loadsInFlightMax: 1, transactAttemptsMax: 1 } as const;

const durations = {
  waitTimeoutMs: endlessMs,
  closeTimeoutMs: endlessMs,
  requestTimeoutMs: atLeastOneMs,
  heartbeatTimeoutMs: atLeastOneMs,
} as const satisfies Readonly<Record<string, DurationRule>>;

/** Bounds as they were given, or their defaults; durations in milliseconds. */
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
