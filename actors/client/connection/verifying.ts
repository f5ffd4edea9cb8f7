import type { Comparison } from "../../../machines/client/cache-verification.js";
import { asTid, tidZero } from "../../../core/index.js";
import * as wire from "../../protocol/codec.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import type { InvalidationIntake } from "./invalidations.js";
import type { ServerLink } from "./server-link.js";

/** How the cache was verified when the connection was last made. */
export interface Verification {
  readonly how: "upToDate" | "replayed" | "discarded";
  readonly transactions: number;
  readonly elapsedMs: number;
}

export interface VerifyingDeps extends ClientConnectionOptions {
  readonly intake: InvalidationIntake;
  readonly who: () => object;
  /** The link whose server the cache is compared with. Throws DisconnectedError when there is none. */
  readonly link: () => ServerLink;
  /** Throws DisconnectedError when `link` is not the current link. */
  readonly checkLink: (link: ServerLink) => void;
}

/** The steps of a cache verification. The machine runs each of them. */
export class Verifying {
  readonly #deps: VerifyingDeps;
  #comparedAt = 0;
  #replayed = 0;

  constructor(deps: VerifyingDeps) {
    this.#deps = deps;
  }

  /** Monotonic moment at which the cache was last compared. */
  get comparedAt(): number {
    return this.#comparedAt;
  }

  async compare(): Promise<Comparison> {
    this.#comparedAt = this.#deps.clock.monotonic();
    this.#replayed = 0;
    const link = this.#deps.link();
    const { position, asOf } = this.#deps.cache;
    return link.request("verify", wire.verify.write({ session: link.session, position, asOf }), wire.verdict);
  }

  async replay(): Promise<void> {
    const link = this.#deps.link();
    this.#replayed = await this.#deps.intake.replay();
    this.#deps.checkLink(link);
  }

  async discard(comparison: Comparison): Promise<void> {
    const { log, cache, who, onDiscarded } = this.#deps;
    const link = this.#deps.link();
    const otherHistory = comparison.type !== "discard";
    // The cache of a new client has nothing to lose.
    if (cache.position.tid !== tidZero) {
      log.warn({ ...who(), from: cache.position.tid, to: comparison.position.tid, otherHistory }, "cache discarded");
    }
    const isOnDisk = cache.discard({ tid: asTid(comparison.position.tid), digest: comparison.position.digest });
    // The position already belongs to the new history. A link that comes up before the disk has it must find no
    // transaction of the old history.
    onDiscarded(otherHistory);
    await isOnDisk;
    this.#deps.checkLink(link);
  }

  /** Logs and returns the result of all steps. */
  verified(how: Verification["how"]): Verification {
    const { clock, cache, log, who } = this.#deps;
    const verification = { how, transactions: this.#replayed, elapsedMs: clock.monotonic() - this.#comparedAt };
    log.info({ ...who(), ...verification, position: cache.position.tid }, "verified");
    return verification;
  }
}
