import { type Random, type Clock, delay, limits, type Log, soonerOf, ZooidError } from "../core/index.js";

/** Whether `error` is a refusal, which another try meets again: wrong credentials, a certificate that is not trusted. */
export function isLasting(error: unknown): error is ZooidError {
  return error instanceof ZooidError && !error.transient;
}

export interface RedialOptions<Target, Link> {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Tried in turn, beginning with the one after that which was linked last. */
  readonly targets: readonly Target[];
  readonly dial: (target: Target, signal: AbortSignal) => Promise<Link>;
  /** Takes a new link over; resolves when it is lost. */
  readonly serve: (link: Link) => Promise<void>;
  /** Which of two failures says more about why no target could be reached. */
  readonly worse?: (a: unknown, b: unknown) => unknown;
}

/** Keeps one link for ever: when it is lost, each target in turn, then a pause that doubles each round, with jitter. */
export class Redial<Target, Link> {
  readonly #options: RedialOptions<Target, Link>;
  readonly #stopped = new AbortController();
  #next = 0;
  #attempt = 0;
  #lastReason: string | undefined;
  #problem: Error | undefined;

  constructor(options: RedialOptions<Target, Link>) {
    this.#options = options;
  }

  /** Why the last round reached no target; undefined once one was reached. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /** Begins as `waitForFirst` of a transport says. Rejects as `first` and `unlessRefused` do. */
  async open(waitForFirst: boolean | "refusal" = true): Promise<void> {
    if (waitForFirst === false) this.forever();
    else if (waitForFirst === "refusal") await this.unlessRefused();
    else await this.first();
  }

  /** Tries each target once, and goes on keeping the link if one was reached; rejects with why none was. */
  async first(): Promise<void> {
    const link = await this.#round();
    void this.#keep(link);
  }

  /**
   * As `forever`, once each target was tried, or limits.firstDialWaitMs have passed. Rejects with the error of a target that refuses, unless
   * another one took us, and stops.
   */
  async unlessRefused(): Promise<void> {
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

  /** Goes on trying until there is a link, and whenever it is lost. */
  forever(): void {
    void this.#keep(undefined);
  }

  /** Stops trying; a link that stands is left to its owner. */
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
      // A place that takes links and drops them at once is as good as not there: the pause goes on growing.
      if (clock.monotonic() - since > limits.dialDelayMsMax) this.#attempt = 0;
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
    const longest = Math.min(limits.dialDelayMsMax, limits.dialDelayMsMin * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    try {
      await delay(this.#options.clock, longest * (0.5 + this.#options.random.fraction() / 2), this.#stopped.signal);
    } catch {
      // Stopped: the loop sees it.
    }
  }

  #report(error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.#problem = error instanceof Error ? error : new Error(String(error));
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (reason === this.#lastReason) return;
    this.#lastReason = reason;
    this.#options.log.warn({ err: error }, "no address could be reached");
  }
}
