/**
 * Widths of texts in Helvetica, whose metrics Arial and Liberation Sans share. A drawing states the width of each of
 * its lines (`textLength`), so that it stays whole with other fonts. Source: Adobe Font Metrics of Helvetica and
 * Helvetica-Bold.
 */

/** Thousandths of the font size. Other characters count as `otherWidth`, and marks on other characters as 0. */
const widths = tableOf([
  ["\u{a0} !,./:;I[\\]ft", 278],
  ['"', 355],
  ["#$0123456789?L_abdeghnopqu", 556],
  ["%", 889],
  ["&ABEKPSVXY", 667],
  ["'", 191],
  ["()-`r", 333],
  ["*", 389],
  ["+<=>~", 584],
  ["@", 1_015],
  ["CDHNRUw", 722],
  ["FTZ", 611],
  ["GOQ", 778],
  ["Jckszvxy", 500],
  ["Mm", 833],
  ["W", 944],
  ["^", 469],
  ["ijl", 222],
  ["{}", 334],
  ["|", 260],
]);
const otherWidth = 1_000;
const isMark = (character: string): boolean => /^[\p{M}\u200d]$/u.test(character);
/** Bold letters are up to this much wider. */
const boldFactor = 1.1;

function tableOf(rows: readonly (readonly [characters: string, width: number])[]): ReadonlyMap<string, number> {
  return new Map(rows.flatMap(([characters, width]) => [...characters].map((character) => [character, width] as const)));
}

/** Font of a line: its size in pixels, and whether it is bold. */
export interface Font {
  readonly px: number;
  readonly isBold?: boolean;
}

/** Width of `text` in one line, in pixels. */
export function textWidth(text: string, { px, isBold = false }: Font): number {
  let sum = 0;
  for (const character of text) sum += widths.get(character) ?? (isMark(character) ? 0 : otherWidth);
  return (sum / 1_000) * px * (isBold ? boldFactor : 1);
}

/** No-break spaces: SVG drops ordinary spaces at the beginning of a line. */
const indent = "\u{a0}\u{a0}";

/** A word that is wider than a line by less than this factor is not broken. */
const wordFactor = 1.3;

/**
 * Breaks `text` at its spaces into lines of about `widthMax` pixels. A word that is wider by a third is broken before a
 * capital letter or after `_`, `.` or `-`, or else between any characters. All lines but the first are indented.
 */
export function wrapped(text: string, widthMax: number, font: Font): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    // A space stands before each word, and not before the other pieces of a word.
    for (const [index, piece] of pieces(word, widthMax * wordFactor - textWidth(indent, font), font).entries()) {
      const longer = `${line}${index > 0 || line === "" ? "" : " "}${piece}`;
      if (line === "" || textWidth(longer, font) <= widthMax) line = longer;
      else {
        lines.push(line);
        line = indent + piece;
      }
    }
  }
  return [...lines, line];
}

/** Characters as people see them: an emoji may consist of several. */
const segmenter = new Intl.Segmenter();

/** `word` in pieces of at most `widthMax` pixels. */
function pieces(word: string, widthMax: number, font: Font): readonly string[] {
  const fits = (text: string) => textWidth(text, font) <= widthMax;
  if (fits(word)) return [word];
  const parts = word.split(/(?<=[_.-])|(?<=[a-z])(?=[A-Z])/).flatMap((part) => (fits(part) ? [part] : characters(part)));
  const found: string[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last !== undefined && fits(last + part)) found[found.length - 1] = last + part;
    else found.push(part);
  }
  return found;
}

function characters(text: string): readonly string[] {
  return [...segmenter.segment(text)].map(({ segment }) => segment);
}
