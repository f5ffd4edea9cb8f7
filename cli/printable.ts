/** Characters that control a terminal, end a line, or change the direction of writing. */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` on one line, with the characters that control a terminal escaped as in JSON. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The same, but line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) => (character === "\n" || character === "\t" ? character : printable(character)));
}
