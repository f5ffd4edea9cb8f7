import type { Happening } from "../actors/index.js";
import type { ActorPattern } from "./actor-pattern.js";
import type { Output } from "./output.js";
import { happeningJson, happeningLine, isSame } from "./record-lines.js";

export interface LinesOptions {
  readonly json?: boolean;
  /** Also transitions that leave the state as it was, and actors without a machine, such as promises. */
  readonly all?: boolean;
  /** Also the steps of commits and invalidations. */
  readonly notes?: boolean;
  /** Number of lines after which printing is over. */
  readonly count?: number;
}

/** Lines that a slow reader has not taken. Further ones are left out, and counted. */
const linesWaitingMax = 1_000;
/** Longer paths are not aligned. */
const pathWidthMax = 48;

/** Prints what happens to the actors of a pattern. */
export class HappeningLines {
  readonly #out: Output;
  readonly #pattern: ActorPattern;
  readonly #options: LinesOptions;
  #pathWidth = 0;
  #printed = 0;
  #waiting = 0;
  #last: Promise<void> | undefined;
  #leftOut = 0;
  /** Whether an actor of the pattern was seen. */
  hasMatched = false;

  constructor(out: Output, pattern: ActorPattern, options: LinesOptions) {
    this.#out = out;
    this.#pattern = pattern;
    this.#options = options;
  }

  /** Prints the lines of `happened`. Whether `count` lines are printed. */
  print(happened: readonly Happening[]): boolean {
    for (const happening of happened) {
      if (this.#isOver) break;
      if (this.#isShown(happening)) this.#print(happening);
    }
    return this.#isOver;
  }

  /** Resolves when the reader has taken enough lines for more. */
  async taken(): Promise<void> {
    if (this.#waiting > linesWaitingMax / 2) await this.#last;
  }

  get #isOver(): boolean {
    return this.#printed >= (this.#options.count ?? Infinity);
  }

  #isShown(happening: Happening): boolean {
    switch (happening.type) {
      case "transition":
        return this.#isWatched(happening) && (this.#options.all === true || !isSame(happening.before, happening.after));
      case "actor":
      case "stopped":
      case "failed":
      case "gone":
        return (this.#options.all === true || happening.actor.machine !== undefined) && this.#isWatched(happening.actor);
      case "note":
        return this.#options.notes === true;
      case "instance":
      case "left":
      case "paused":
        return true;
    }
  }

  #isWatched(actor: { readonly path: string; readonly name?: string }): boolean {
    const isWatched = this.#pattern.matches(actor);
    if (isWatched) {
      this.hasMatched = true;
      this.#pathWidth = Math.min(pathWidthMax, Math.max(this.#pathWidth, actor.path.length));
    }
    return isWatched;
  }

  #print(happening: Happening): void {
    const text = this.#options.json === true ? jsonOf(happeningJson(happening)) : happeningLine(happening, this.#pathWidth);
    if (text === undefined) return;
    if (this.#waiting >= linesWaitingMax) {
      this.#leftOut++;
      return;
    }
    if (this.#leftOut > 0) this.#write(this.#leftOutLine());
    this.#printed++;
    this.#write(text);
  }

  #leftOutLine(): string {
    const lines = this.#leftOut;
    this.#leftOut = 0;
    return this.#options.json === true
      ? JSON.stringify({ type: "lines-left-out", lines })
      : `(${lines} lines were left out: they are read too slowly)`;
  }

  #write(text: string): void {
    this.#waiting++;
    this.#last = this.#out.line(text).then(() => void this.#waiting--);
  }
}

function jsonOf(json: object | undefined): string | undefined {
  return json && JSON.stringify(json, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));
}
