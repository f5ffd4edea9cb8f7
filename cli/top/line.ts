/** A line, and how it stands out. */
export interface Line {
  readonly text: string;
  readonly style?: "head" | "selected" | "failed" | "current" | "dim";
}
