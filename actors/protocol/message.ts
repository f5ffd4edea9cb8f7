/**
 * Describes a message once: its type, and how it is written, read and checked, follow from the description.
 *
 *     export const keysRequest = message("keys", { session: id, tid, from: count });
 *     export type KeysRequest = MessageOf<typeof keysRequest>;
 *
 * The bytes are a MessagePack array of the fields in the order of the description. Reading checks every field, because
 * a message from the wire may hold anything; writing trusts the types. Bytes that were read alias the message.
 */
import { assert, decodeMessage, encodeMessage, MalformedMessageError } from "../../core/index.js";

/** Both directions of one kind of message. */
export interface Codec<T> {
  write(message: T): Uint8Array;
  /** Throws MalformedMessageError, TooLargeError, InvalidKeyError, InvalidTagError. */
  read(bytes: Uint8Array): T;
}

/** The type of the messages that a codec writes and reads. */
export type MessageOf<C> = C extends { read(bytes: Uint8Array): infer T } ? T : never;

/** One property of a message, and its place in the array of the message. */
export interface Field<T> {
  /** How many elements of the array it takes. */
  readonly slots: number;
  /** Appends the elements to `into`. */
  write(value: T, into: unknown[]): void;
  /** Reads the elements from index `at`. Errors name the field `what`. */
  read(from: readonly unknown[], at: number, what: string): T;
}

/** The type of the values of a field. */
export type ValueOf<F> = F extends Field<infer T> ? T : never;

/** The fields of a message by the names of its properties, in their order on the wire. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The type of the message with these fields. */
export type Values<F extends Fields> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

/** A codec whose message can also be a part of another message. */
export interface Message<T> extends Codec<T> {
  /** The message as one element, an array, of another message. */
  readonly nested: Field<T>;
}

/** How the array of a message becomes bytes. */
export interface Encoding<Decoded = unknown> {
  encode(message: unknown, what: string): Uint8Array;
  decode(bytes: Uint8Array, what: string): Decoded;
}

const messagePack: Encoding = { encode: encodeMessage, decode: decodeMessage };

/** Encoding and check of a message, beside its fields. */
export interface MessageOptions<T> {
  /** Default: MessagePack. */
  readonly encoding?: Encoding | undefined;
  /** Throws if fields contradict each other. */
  readonly check?: ((message: T, what: string) => void) | undefined;
}

/** The message with these fields. Errors name the field `after` of the message `log` "log.after". */
export function message<F extends Fields>(what: string, fields: F, options?: MessageOptions<Values<F>>): Message<Values<F>> {
  return messageOf(what, record<Values<F>>(what, fields), options);
}

/** The message that is one value, whose elements are those of `field`. */
export function messageOf<T>(what: string, field: Field<T>, { encoding = messagePack, check }: MessageOptions<T> = {}): Message<T> {
  const { slots } = field;
  const toElements = (value: T): unknown[] => {
    const into: unknown[] = [];
    field.write(value, into);
    return into;
  };
  const fromElements = (from: unknown): T => {
    const value = field.read(elementsOf(from, what, slots), 0, what);
    check?.(value, what);
    return value;
  };
  return messageIn(encoding, what, toElements, fromElements);
}

/** The message whose values have these elements in `encoding`. */
function messageIn<T>(
  encoding: Encoding,
  what: string,
  toElements: (value: T) => unknown[],
  fromElements: (elements: unknown) => T,
): Message<T> {
  return {
    write: (value) => encoding.encode(toElements(value), what),
    read: (bytes) => fromElements(encoding.decode(bytes, what)),
    nested: {
      slots: 1,
      write(value, into) {
        into.push(toElements(value));
      },
      read: (from, at) => fromElements(from[at]),
    },
  };
}

/** The elements of a message that has `count` of them. */
function elementsOf(message: unknown, what: string, count: number): readonly unknown[] {
  if (!Array.isArray(message)) throw new MalformedMessageError({ what, reason: "is not an array" });
  if (message.length !== count) throw new MalformedMessageError({ what, reason: `has ${message.length} fields, not ${count}` });
  return message as unknown[];
}

/** All fields of a message as one. */
function record<T>(what: string, fields: Fields): Field<T> {
  let slots = 0;
  const placed = Object.entries(fields).map(([name, field]) => {
    const offset = slots;
    slots += field.slots;
    return { name, field, offset, path: `${what}.${name}` };
  });
  return {
    slots,
    write(value, into) {
      const properties = value as Readonly<Record<string, unknown>>;
      for (const { name, field } of placed) field.write(properties[name], into);
    },
    read(from, at) {
      const properties: Record<string, unknown> = {};
      for (const { name, field, offset, path } of placed) properties[name] = field.read(from, at + offset, path);
      return properties as T;
    },
  };
}

/** One kind of a message that has several: its first element on the wire, and the fields after it. */
export interface Variant<F extends Fields> {
  readonly tag: string;
  readonly fields: F;
}

export function variant<F extends Fields>(tag: string, fields: F): Variant<F> {
  return { tag, fields };
}

type Variants = Readonly<Record<string, Variant<Fields>>>;
type UnionOf<V extends Variants> = { [Type in keyof V]: { readonly type: Type } & Values<V[Type]["fields"]> }[keyof V];

/** A message of several kinds. The property `type` is the name of its variant. Errors name a field "variant.field". */
export function union<V extends Variants>(what: string, variants: V, encoding: Encoding = messagePack): Message<UnionOf<V>> {
  const kinds = Object.entries(variants).map(([type, { tag, fields }]) => {
    const typeField: Field<string> = {
      slots: 1,
      write(_, into) {
        into.push(tag);
      },
      read: () => type,
    };
    return { type, tag, kind: record<UnionOf<V>>(type, { type: typeField, ...fields }) };
  });
  const byType = new Map(kinds.map(({ type, kind }) => [type, kind]));
  const byTag = new Map<unknown, (typeof kinds)[number]>(kinds.map((each) => [each.tag, each]));
  const toElements = (value: UnionOf<V>): unknown[] => {
    const kind = byType.get(value.type as string);
    assert(kind !== undefined, `each type of a ${what} has a variant`);
    const into: unknown[] = [];
    kind.write(value, into);
    return into;
  };
  const fromElements = (elements: unknown): UnionOf<V> => {
    const found = byTag.get(Array.isArray(elements) ? elements[0] : undefined);
    if (found === undefined) throw new MalformedMessageError({ what, reason: "is of no known type" });
    return found.kind.read(elementsOf(elements, found.type, found.kind.slots), 0, found.type);
  };
  return messageIn(encoding, what, toElements, fromElements);
}
