/**
 * A bucket in JetStream with the layout of NATS's key-value store, so that NATS's tools can read it: the stream
 * `KV_<bucket>` on subjects `$KV.<bucket>.<prefix>.<key>`, which keeps the last message of each. It sends plain
 * requests to the stream, for the reasons at StreamApi.
 *
 * 1. The stream is made if there is none. A stream that another client made is used as it is.
 * 2. Any server with a copy may answer a read. A put is compared with the leader's revision.
 * 3. An option of newer servers is used only if the stream reports that it is on: old servers ignore options that they
 *    do not know.
 *
 * Source: ADR-8, ADR-31, ADR-43 of NATS.
 */
import { setMaxListeners } from "node:events";
import {
  ClosedError,
  DisconnectedError,
  InvalidOptionError,
  limits,
  type Log,
  silentLog,
  TimeoutError,
  type SeamOptions,
  type Seams,
} from "../../core/index.js";
import type { Bucket, BucketEntry, BucketItem } from "../bucket.js";
import { keyToken } from "./bucket-key.js";
import { listMessages } from "./bucket-listing.js";
import { nanos, streamNotFound } from "./api.js";
import { answerOf, askJetStream, fieldsOf, isOutrun, isRefusal, numberOf } from "./ask.js";
import { namingOverlap, withoutJetStream } from "./refused.js";
import type { Fields } from "./stream-names.js";
import type { AskingTransport } from "../transport.js";

/** The place of a bucket, and the settings of one that is made. */
export interface JetStreamBucketOptions extends Pick<Seams, "clock" | "random">, Pick<SeamOptions, "log"> {
  /** The transport. It stays open when the bucket is closed. */
  readonly transport: AskingTransport;
  /** Letters, digits, `_` and `-`, at most 64; the same for `prefix`. */
  readonly bucket: string;
  /** Keys of two prefixes never share an entry. */
  readonly prefix: string;
  /** Size of a bucket that is made here; past it the oldest entries are removed. Default: the server's limit. */
  readonly bytesMax?: number | undefined;
  /** Replicas of a bucket that is made here. Default: 1. */
  readonly replicas?: number | undefined;
  /** Age of a bucket that is made here: entries are removed after this time. */
  readonly ageMs: number;
  readonly timeoutMs?: number | undefined;
}

/** A bucket over JetStream. Its stream is made at the first use if there is none. Throws InvalidOptionError. */
export function createJetStreamBucket(options: JetStreamBucketOptions): Bucket {
  for (const option of ["bucket", "prefix"] as const) {
    if (!/^[\w-]{1,64}$/.test(options[option])) throw new InvalidOptionError({ option, reason: "is not 1 to 64 letters, digits, _ or -" });
  }
  return new JetStreamBucket(options);
}

/** The description of a bucket that a cache made. Only such a bucket is changed. */
const description = "results that the nodes of a cache share";
/** Servers from this level of the API on know times to live of messages. */
const messageTtlLevel = 1;
/**
 * Header with the time to live of a message in milliseconds. Servers of all levels keep it, and return it in a listing.
 */
const ttlHeader = "Zooid-Ttl-Ms";
const notFound = 404;
/** Room that a put leaves for its headers and their framing. */
const headersBytesMax = 512;
const nothing = new Uint8Array(0);

class JetStreamBucket implements Bucket {
  readonly kind = "jetstream";
  readonly #options: JetStreamBucketOptions;
  readonly #transport: AskingTransport;
  readonly #log: Log;
  readonly #stream: string;
  readonly #subject: string;
  readonly #timeoutMs: number;
  readonly #closed = new AbortController();
  /** The known options of the stream; undefined: the stream must be looked up, and perhaps made. */
  #found: Promise<Offers> | undefined;
  #isDeniedLogged = false;

  constructor(options: JetStreamBucketOptions) {
    this.#options = options;
    this.#transport = options.transport;
    this.#log = options.log ?? silentLog;
    this.#stream = `KV_${options.bucket}`;
    this.#subject = `$KV.${options.bucket}.${options.prefix}`;
    this.#timeoutMs = options.timeoutMs ?? limits.bucketTimeoutMs;
    // Each request in progress listens to this signal.
    setMaxListeners(0, this.#closed.signal);
  }

  get payloadBytesMax(): number {
    return this.#transport.payloadBytesMax - headersBytesMax;
  }

  get(key: string): Promise<BucketEntry | undefined> {
    return this.#within(async (bound) => {
      const subject = `$JS.API.DIRECT.GET.${this.#stream}.${this.#subjectOf(key)}`;
      const { payload, headers } = await this.#transport.ask(subject, nothing, bound());
      if (headers === undefined || headers.code === notFound) return undefined;
      // A key that NATS's tools have deleted has a marker in its place.
      if (headers.code !== 0) throw new DisconnectedError({ address: subject });
      const revision = Number(headers.last("Nats-Sequence"));
      const time = Date.parse(headers.last("Nats-Time-Stamp"));
      if (!Number.isSafeInteger(revision) || revision < 1 || Number.isNaN(time)) throw new DisconnectedError({ address: subject });
      return { payload, revision, time };
    });
  }

  put(key: string, payload: Uint8Array, expected: number, ttlMs?: number): Promise<number | undefined> {
    return this.#within(async (bound, { hasTtl }) => {
      const headers: Record<string, string> = { "Nats-Expected-Last-Subject-Sequence": String(expected) };
      // The entry does not outlive the bucket's age, and a server does not take numbers of any size.
      const lifeMs = ttlMs === undefined ? undefined : Math.ceil(Math.min(ttlMs, this.#options.ageMs));
      if (lifeMs !== undefined) headers[ttlHeader] = String(lifeMs);
      if (lifeMs !== undefined && hasTtl) headers["Nats-TTL"] = `${Math.max(1, Math.ceil(lifeMs / 1_000))}s`;
      try {
        const answer = answerOf(await this.#transport.request(this.#subjectOf(key), payload, { ...bound(), headers }));
        return numberOf(answer, "seq");
      } catch (error) {
        if (isOutrun(error)) return undefined;
        throw error;
      }
    });
  }

  remove(revision: number): Promise<boolean> {
    return this.#within(async (bound, { mayDelete }) => {
      if (!mayDelete) return false;
      try {
        const answer = await askJetStream(this.#transport, `STREAM.MSG.DELETE.${this.#stream}`, { seq: revision, no_erase: true }, bound());
        return answer.success === true;
      } catch (error) {
        if (isRefusal(error)) return false;
        throw error;
      }
    });
  }

  clear(): Promise<void> {
    return this.#within(async (bound) => {
      await askJetStream(this.#transport, `STREAM.PURGE.${this.#stream}`, { filter: `${this.#subject}.>` }, bound());
    });
  }

  keepsExpired(): Promise<boolean> {
    return this.#within((_, { hasTtl, mayDelete }) => Promise.resolve(mayDelete && !hasTtl));
  }

  list(from: number, itemsMax: number): Promise<readonly BucketItem[]> {
    const { clock, random } = this.#options;
    return this.#within(async () => {
      const listed = await listMessages(from, itemsMax, {
        transport: this.#transport,
        stream: this.#stream,
        filter: `${this.#subject}.>`,
        clock,
        random,
        timeoutMs: this.#timeoutMs,
        signal: this.#closed.signal,
      });
      return listed.map(({ sequence, time, headers }) => ({ revision: sequence, time, ttlMs: ttlIn(headers.get(ttlHeader)) }));
    });
  }

  close(): Promise<void> {
    this.#closed.abort(new ClosedError({ what: "bucket" }));
    return Promise.resolve();
  }

  #subjectOf(key: string): string {
    return `${this.#subject}.${keyToken(key)}`;
  }

  /** Calls `act` once the stream is known to exist, all of it within the time-out. */
  async #within<T>(act: (bound: () => Bound, offers: Offers) => Promise<T>): Promise<T> {
    const { signal } = this.#closed;
    signal.throwIfAborted();
    const begunMs = this.#options.clock.monotonic();
    const bound = (): Bound => {
      const leftMs = this.#timeoutMs - (this.#options.clock.monotonic() - begunMs);
      if (leftMs <= 0) throw new TimeoutError({ what: this.#stream, timeoutMs: this.#timeoutMs });
      return { timeoutMs: leftMs, signal };
    };
    const found = (this.#found ??= this.#find(bound));
    try {
      return await act(bound, await found);
    } catch (error) {
      // The broker may have lost the stream, so it is looked up again.
      if (this.#found === found) this.#found = undefined;
      throw error;
    }
  }

  async #find(bound: () => Bound): Promise<Offers> {
    const level = await this.#level(bound);
    let info: Fields;
    try {
      info = await this.#info(bound);
    } catch (error) {
      if (!isRefusal(error, streamNotFound)) throw error;
      info = await this.#make(level, bound);
    }
    const found = fieldsOf(info.config);
    const changed = this.#changes(found, level);
    if (changed !== undefined) info = await askJetStream(this.#transport, `STREAM.UPDATE.${this.#stream}`, changed, bound());
    const { allow_msg_ttl: hasTtl, allow_direct: isDirect, deny_delete: isDenied } = fieldsOf(info.config);
    if (isDirect !== true)
      throw new InvalidOptionError({ option: "storageUrl", reason: `names the stream ${this.#stream}, which has no direct access` });
    if (isDenied === true && !this.#isDeniedLogged) {
      this.#isDeniedLogged = true;
      this.#log.info({ stream: this.#stream }, "nothing may be removed from this bucket: what has expired there goes by its age");
    }
    return { hasTtl: hasTtl === true, mayDelete: isDenied !== true };
  }

  /** Makes the stream, unless another client makes it now. */
  async #make(level: number, bound: () => Bound): Promise<Fields> {
    try {
      return await askJetStream(this.#transport, `STREAM.CREATE.${this.#stream}`, this.#config(level), bound());
    } catch (error) {
      if (!isRefusal(error)) throw error;
      try {
        return await this.#info(bound);
      } catch {
        throw await namingOverlap(error, `$KV.${this.#options.bucket}.>`, this.#transport, bound());
      }
    }
  }

  #config(level: number): Fields {
    const { bucket, bytesMax = -1, replicas = 1, ageMs } = this.#options;
    return {
      name: this.#stream,
      description,
      subjects: [`$KV.${bucket}.>`],
      storage: "file",
      retention: "limits",
      // The oldest entries make room: a cache may forget any entry.
      discard: "old",
      max_msgs_per_subject: 1,
      max_bytes: bytesMax,
      max_age: nanos(ageMs),
      num_replicas: replicas,
      allow_direct: true,
      allow_rollup_hdrs: true,
      deny_delete: false,
      deny_purge: false,
      ...(level >= messageTtlLevel ? { allow_msg_ttl: true } : {}),
    };
  }

  /** The settings to change of a bucket that a cache made: its server may have been upgraded, or its bound changed. */
  #changes(found: Fields, level: number): Fields | undefined {
    if (found.description !== description) return undefined;
    const { bytesMax } = this.#options;
    const gainsTtl = level >= messageTtlLevel && found.allow_msg_ttl !== true;
    const gainsBound = bytesMax !== undefined && found.max_bytes !== bytesMax;
    if (!gainsTtl && !gainsBound) return undefined;
    return { ...found, ...(gainsTtl ? { allow_msg_ttl: true } : {}), ...(gainsBound ? { max_bytes: bytesMax } : {}) };
  }

  /** Level of the server's API; 0 if the server does not report one, or does not let us ask. */
  async #level(bound: () => Bound): Promise<number> {
    try {
      const level = fieldsOf((await askJetStream(this.#transport, "INFO", undefined, bound())).api).level;
      return typeof level === "number" ? level : 0;
    } catch (error) {
      const none = withoutJetStream(error, this.#transport);
      if (none === undefined && isRefusal(error)) return 0;
      throw none ?? error;
    }
  }

  #info(bound: () => Bound): Promise<Fields> {
    return askJetStream(this.#transport, `STREAM.INFO.${this.#stream}`, undefined, bound());
  }
}

/** The operations that the stream supports. */
interface Offers {
  readonly hasTtl: boolean;
  readonly mayDelete: boolean;
}

interface Bound {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Undefined: no time to live was written, or another client wrote it in another form. */
function ttlIn(header: string): number | undefined {
  return /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
