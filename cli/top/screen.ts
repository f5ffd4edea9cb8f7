/** A terminal that a program fills, and that looks afterwards as it did before. */
import { paddedTo } from "../table.js";
import type { Line } from "./line.js";

/** The keys of a terminal: process.stdin. */
export interface KeyInput {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
  on(event: "data", listener: (data: Buffer | string) => void): unknown;
  off(event: "data", listener: (data: Buffer | string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** The screen of a terminal: process.stdout. */
export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): boolean;
  on(event: "resize", listener: () => void): unknown;
  off(event: "resize", listener: () => void): unknown;
}

export interface ScreenOptions {
  readonly input: KeyInput;
  readonly output: ScreenOutput;
  readonly hasColor: boolean;
  /** Called with the name of each key: `up`, `enter`, `q`. */
  readonly onKey: (key: string) => void;
  readonly onResize: () => void;
  /** Runs `action` when the process ends, until the returned function is called. */
  readonly onExit: (action: () => void) => () => void;
}

const enter = "\u001b[?1049h\u001b[?25l";
const leave = "\u001b[?25h\u001b[?1049l";

const styles = { head: "1", selected: "7", failed: "31", current: "1;32", dim: "2" } as const;

const keys: Readonly<Record<string, string>> = {
  "\u001b[A": "up",
  "\u001bOA": "up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  "\u001b[D": "left",
  "\u001bOD": "left",
  "\u001b[5~": "pageUp",
  "\u001b[6~": "pageDown",
  "\u001b[H": "home",
  "\u001b[1~": "home",
  "\u001b[F": "end",
  "\u001b[4~": "end",
  "\u001b": "escape",
  "\r": "enter",
  "\n": "enter",
};

/** Takes the whole terminal until `close`. If the process ends before, the terminal is restored then. */
export class Screen {
  readonly #options: ScreenOptions;
  readonly #forgetExit: () => void;
  readonly #take = (data: Buffer | string): void => {
    for (const key of keysIn(String(data))) this.#options.onKey(key);
  };
  readonly #resized = (): void => this.#options.onResize();
  #isOpen = true;

  constructor(options: ScreenOptions) {
    this.#options = options;
    const { input, output, onExit } = options;
    this.#forgetExit = onExit(() => this.#restore());
    input.setRawMode?.(true);
    input.on("data", this.#take);
    input.resume();
    output.on("resize", this.#resized);
    output.write(enter);
  }

  get size(): { readonly width: number; readonly height: number } {
    const { columns = 80, rows = 24 } = this.#options.output;
    return { width: Math.max(20, columns), height: Math.max(5, rows) };
  }

  show(lines: readonly Line[]): void {
    if (!this.#isOpen) return;
    const { hasColor, output } = this.#options;
    const { width } = this.size;
    const styled = lines.map(({ text, style }) => {
      // Without colours a selected line is still marked.
      if (style === undefined || (!hasColor && style !== "selected")) return `${text}\u001b[K`;
      const whole = style === "selected" ? paddedTo(text, width) : text;
      return `\u001b[${styles[style]}m${whole}\u001b[0m\u001b[K`;
    });
    output.write(`\u001b[H${styled.join("\r\n")}\u001b[J`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#forgetExit();
    this.#restore();
  }

  #restore(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { input, output } = this.#options;
    input.off("data", this.#take);
    output.off("resize", this.#resized);
    output.write(leave);
    input.setRawMode?.(false);
    input.pause();
  }
}

/** The names of the keys in what a terminal sent at once. Several quick keys may come together. */
export function keysIn(data: string): readonly string[] {
  const found = data.match(/\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|[^]/gu) ?? [];
  return found.flatMap((sequence) => {
    const name = keys[sequence];
    if (name !== undefined) return [name];
    return sequence.startsWith("\u001b") ? [] : [sequence];
  });
}
