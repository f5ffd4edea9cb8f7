import { InvalidOptionError } from "../core/index.js";

/**
 * Checks a subject to publish to: tokens divided by `.`, none empty, no spaces, no wildcards. Throws
 * InvalidOptionError.
 */
export function checkSubject(subject: string): void {
  if (!literal.test(subject)) throw invalid(subject, "is not tokens divided by dots, without spaces and wildcards");
}

/**
 * Checks a subject to subscribe to, where a token may be `*` (any one token) and the last one `>` (one or more). Throws
 * InvalidOptionError.
 */
export function checkPattern(pattern: string): void {
  if (!wild.test(pattern)) throw invalid(pattern, "is not tokens divided by dots, with * for one token and > for the rest");
}

/** Checks the name of a queue: a token. Throws InvalidOptionError. */
export function checkQueue(queue: string): void {
  if (!token.test(queue)) throw new InvalidOptionError({ option: "queue", reason: `${JSON.stringify(queue)} is not one token` });
}

const invalid = (subject: string, reason: string) =>
  new InvalidOptionError({ option: "subject", reason: `${JSON.stringify(subject.slice(0, 256))} ${reason}` });

// No token may hold white space, a dot, a control character or a wildcard, because a broker would read it differently.
const token = /^[^\s.*>\0-\x1f\x7f]+$/;
const literal = /^[^\s.*>\0-\x1f\x7f]+(?:\.[^\s.*>\0-\x1f\x7f]+)*$/;
const wild = /^(?:>|(?:\*|[^\s.*>\0-\x1f\x7f]+)(?:\.(?:\*|[^\s.*>\0-\x1f\x7f]+))*(?:\.>)?)$/;

interface Node<T> {
  readonly next: Map<string, Node<T>>;
  /** Entries of the pattern that ends here. */
  readonly here: Set<T>;
}

/**
 * Entries by pattern, found by subject. The order of the matches depends only on the order in which they were added.
 */
export class SubjectTable<T> {
  readonly #root: Node<T> = { next: new Map(), here: new Set() };

  addPattern(pattern: string, entry: T): void {
    let node = this.#root;
    for (const token of pattern.split(".")) {
      let next = node.next.get(token);
      if (next === undefined) node.next.set(token, (next = { next: new Map(), here: new Set() }));
      node = next;
    }
    node.here.add(entry);
  }

  remove(pattern: string, entry: T): void {
    this.#remove(this.#root, pattern.split("."), 0, entry);
  }

  /** Entries whose pattern matches `subject`. */
  match(subject: string): T[] {
    const found: T[] = [];
    this.#match(this.#root, subject.split("."), 0, found);
    return found;
  }

  #remove(node: Node<T>, tokens: readonly string[], depth: number, entry: T): void {
    const token = tokens[depth];
    if (token === undefined) {
      node.here.delete(entry);
      return;
    }
    const next = node.next.get(token);
    if (next === undefined) return;
    this.#remove(next, tokens, depth + 1, entry);
    if (next.here.size === 0 && next.next.size === 0) node.next.delete(token);
  }

  #match(node: Node<T>, tokens: readonly string[], depth: number, found: T[]): void {
    const token = tokens[depth];
    if (token === undefined) {
      for (const entry of node.here) found.push(entry);
      return;
    }
    const rest = node.next.get(">");
    if (rest !== undefined) for (const entry of rest.here) found.push(entry);
    const any = node.next.get("*");
    if (any !== undefined) this.#match(any, tokens, depth + 1, found);
    const same = node.next.get(token);
    if (same !== undefined) this.#match(same, tokens, depth + 1, found);
  }
}
