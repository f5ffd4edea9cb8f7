/** One answered question: a figure, the limit measured in the same run, and whether the results were correct. */
export interface Result {
  readonly name: string;
  /** Median of the rounds. */
  readonly value: number;
  readonly unit: string;
  /** The same quantity of the limit, measured in the same rounds. */
  readonly limit: number;
  /** Median of the rounds' ratios. Targets refer to it. */
  readonly ratio: number;
  readonly correct: boolean;
  /** Operations behind the figure, all rounds together. */
  readonly n: number;
}

/** A question that cannot be answered here, and why. */
export interface Skipped {
  readonly name: string;
  readonly skipped: string;
}

/** A question with its target. People judge it, since tests do not measure time. */
export interface Question {
  readonly name: string;
  readonly question: string;
  readonly target: string;
  /** Whether `result` meets the target. */
  readonly meets: (result: Result) => boolean;
  readonly measure: () => Promise<Result | Skipped>;
}

/** Whether `answer` has no figure. */
export function isSkipped(answer: Result | Skipped): answer is Skipped {
  return "skipped" in answer;
}

const shown = (value: number): string => (Number.isFinite(value) ? value.toLocaleString("en", { maximumSignificantDigits: 4 }) : "–");

export const heading = ["name", "value", "unit", "limit", "ratio", "target", "met", "correct", "n"].join(" | ");

/** A row of the table of results. */
export function row(result: Result, question: Question): string {
  const { name, value, unit, limit, ratio, correct, n } = result;
  const met = question.meets(result) ? "yes" : "no";
  return [name, shown(value), unit, shown(limit), shown(ratio), question.target, met, correct ? "yes" : "NO", n].join(" | ");
}
