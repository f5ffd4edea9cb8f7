import { asError, delay, dialPace, limits, retryDelay, soonerOf, ZooidError, type Seams } from "../core/index.js";

/** Whether `error` is a refusal that another attempt would meet again: wrong credentials, an untrusted certificate. */
export function isLasting(error: unknown): error is ZooidError {
  return error instanceof ZooidError && !error.transient;
}

export interface RedialOptions<Target, Link> extends Seams {
  /** Tried in turn, beginning with the target after the one that was linked last. */
  readonly targets: readonly Target[];
  readonly dial: (target: Target, signal: AbortSignal) => Promise<Link>;
  /** Takes over a new link; resolves when the link is lost. */
  readonly serve: (link: Link) => Promise<void>;
  /** Returns the one of two failures that better explains why no target could be reached. */
  readonly worse?: ((a: unknown, b: unknown) => unknown) | undefined;
}

/**
 * Keeps one link for ever. When it is lost, it tries each target in turn, then pauses; the pause doubles each round,
 * with jitter.
 */
export class Redial<Target, Link> {
  readonly #options: RedialOptions<Target, Link>;
  readonly #stopped = new AbortController();
  #next = 0;
  #failures = 0;
  #lastReason: string | undefined;
  #problem: Error | undefined;

  constructor(options: RedialOptions<Target, Link>) {
    this.#options = options;
  }

  /** Why the last round reached no target; undefined once a target was reached. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /**
   * Keeps a link from now on. `waitForFirst` true: tries each target once, and rejects with the reason if none was
   * reached. False: tries until there is a link. "refusal": resolves once each target was tried or
   * `limits.firstDialWaitMs` have passed. If a target refuses and no other one accepts, it rejects with that error, and
   * stops.
   */
  async open(waitForFirst: boolean | "refusal" = true): Promise<void> {
    if (waitForFirst === "refusal") await this.#unlessRefused();
    else void this.#keep(waitForFirst ? await this.#round() : undefined);
  }

  async #unlessRefused(): Promise<void> {
    const refusals: ZooidError[] = [];
    let isWaitedFor = true;
    const tried = this.#round().then(
      (link) => void this.#keep(link),
      (error: unknown) => {
        if (isWaitedFor && isLasting(error)) refusals.push(error);
        else void this.#goOnAfter(error);
      },
    );
    await soonerOf(this.#options.clock, limits.firstDialWaitMs, tried);
    isWaitedFor = false;
    for (const refusal of refusals) throw refusal;
  }

  /** Stops trying. A link that exists is left to its owner. */
  stop(): void {
    this.#stopped.abort(new Error("stopped"));
  }

  async #goOnAfter(error: unknown): Promise<void> {
    this.#report(error);
    await this.#pause();
    await this.#keep(undefined);
  }

  async #keep(first: Link | undefined): Promise<void> {
    const { clock, log, serve } = this.#options;
    let link = first;
    while (!this.#stopped.signal.aborted) {
      try {
        link ??= await this.#round();
      } catch (error) {
        this.#report(error);
        await this.#pause();
        continue;
      }
      this.#lastReason = undefined;
      this.#problem = undefined;
      const since = clock.monotonic();
      try {
        await serve(link);
      } catch (error) {
        log.error({ err: error }, "a new link could not be taken over");
      }
      link = undefined;
      // A server that takes links and drops them at once counts as unreachable: the pause keeps growing.
      if (clock.monotonic() - since > limits.dialDelayMsMax) this.#failures = 0;
      else await this.#pause();
    }
  }

  async #round(): Promise<Link> {
    const { targets, dial, worse } = this.#options;
    const { signal } = this.#stopped;
    let reason: unknown;
    for (let tried = 0; tried < targets.length && !signal.aborted; tried++) {
      const target = targets[this.#next % targets.length] as Target;
      this.#next = (this.#next + 1) % targets.length;
      try {
        return await dial(target, signal);
      } catch (error) {
        reason = reason === undefined || worse === undefined ? error : worse(reason, error);
      }
    }
    throw signal.aborted ? signal.reason : reason;
  }

  async #pause(): Promise<void> {
    this.#failures += 1;
    try {
      await delay(this.#options.clock, retryDelay(this.#failures, this.#options.random, dialPace), this.#stopped.signal);
    } catch {
      // Stopped: the loop sees it.
    }
  }

  #report(error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.#problem = asError(error);
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (reason === this.#lastReason) return;
    this.#lastReason = reason;
    this.#options.log.warn({ err: error }, "no address could be reached");
  }
}
