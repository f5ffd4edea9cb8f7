/** Characters that steer a terminal, end a line, or turn the direction of writing. */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` as one line that shows what it holds: characters that a terminal would obey are written as JSON writes them. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The same, of a text whose lines and tabs are ours. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) => (character === "\n" || character === "\t" ? character : printable(character)));
}
