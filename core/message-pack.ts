/**
 * MessagePack of data from outside. A decoder can turn a few bytes into something much larger: references that double
 * at each level, a class for every four bytes, a text of everything read when a byte is left over.
 * Therefore all bytes are checked before any of them is decoded: well-formed, no extension except the allowed one, not
 * too deep, not too many arrays and maps.
 */
import { Packr } from "msgpackr";

/** Limits of the data, and the extension that it may hold. */
export interface Allowed {
  /** Maximum nesting of arrays and maps. */
  readonly depthMax: number;
  /** Maximum number of arrays and maps, all together. */
  readonly containersMax: number;
  /** The only extension that is accepted: a timestamp, or undefined. */
  readonly extension: "timestamp" | "undefined";
}

// Without records, any MessagePack reader understands the result, and sender and receiver share no state.
const packr = new Packr({ useRecords: false, variableMapSize: true });

/**
 * msgpackr writes results one after the other into a block, and the block lives as long as any of its results. For a
 * value that does not fit, it allocates a block four times as large as the value, and every later block is as large. A
 * block larger than this, in bytes, is not written to again.
 */
const blockBytesMax = 1024 * 1024;
const blockBytes = 8 * 1024;

/** The caller owns the result. The result keeps at most one mebibyte more than its own length alive. */
export function pack(value: unknown): Buffer {
  const packed = packr.pack(value);
  if (packed.buffer.byteLength <= blockBytesMax) return packed;
  packr.useBuffer(Buffer.allocUnsafeSlow(blockBytes));
  return Buffer.from(packed);
}

/**
 * The value in `bytes`; parts that are bytes alias them. Throws an Error with the reason when `bytes` hold anything
 * that is not allowed.
 */
export function unpack(bytes: Uint8Array, allowed: Allowed): unknown {
  scan(bytes, allowed);
  return packr.unpack(bytes);
}

/** Items still to read in each container around the current one. Each scan fills it anew; a scan is synchronous. */
const deps: number[] = [];

function scan(bytes: Uint8Array, { depthMax, containersMax, extension }: Allowed): void {
  const end = bytes.length;
  let at = 0;
  let depth = 0;
  let containers = 0;
  let items = 1;
  for (;;) {
    while (items === 0) {
      if (depth === 0) {
        if (at === end) return;
        throw new Error(at < end ? "goes on after its end" : "ends too early");
      }
      items = deps[--depth] as number;
    }
    items--;
    if (at >= end) throw new Error("ends too early");
    const token = bytes[at++] as number;
    let inside = -1;
    // Small numbers, maps, arrays and strings have their length or value in this byte.
    if (token < 0x80 || token >= 0xe0) continue;
    if (token < 0x90) inside = 2 * (token & 0x0f);
    else if (token < 0xa0) inside = token & 0x0f;
    else if (token < 0xc0) at += token & 0x1f;
    else {
      switch (token) {
        case 0xc0: // null, false, true
        case 0xc2:
        case 0xc3:
          break;
        case 0xcc: // numbers of 1, 2, 4 and 8 bytes
        case 0xd0:
          at += 1;
          break;
        case 0xcd:
        case 0xd1:
          at += 2;
          break;
        case 0xca:
        case 0xce:
        case 0xd2:
          at += 4;
          break;
        case 0xcb:
        case 0xcf:
        case 0xd3:
          at += 8;
          break;
        case 0xc4: // bytes and strings, by the size of their length
        case 0xd9:
          at += 1 + number(bytes, at, 1);
          break;
        case 0xc5:
        case 0xda:
          at += 2 + number(bytes, at, 2);
          break;
        case 0xc6:
        case 0xdb:
          at += 4 + number(bytes, at, 4);
          break;
        case 0xdc: // arrays and maps
        case 0xde:
          inside = (token - 0xdb > 1 ? 2 : 1) * number(bytes, at, 2);
          at += 2;
          break;
        case 0xdd:
        case 0xdf:
          inside = (token - 0xdc > 1 ? 2 : 1) * number(bytes, at, 4);
          at += 4;
          break;
        default:
          at += extensionBytes(bytes, at, token, extension);
      }
    }
    if (inside < 0) continue;
    // Each item takes at least one byte, so an impossible count is refused before it is used.
    if (inside > end - at) throw new Error("ends too early");
    if (++containers > containersMax) throw new Error(`has more than ${containersMax} arrays and maps`);
    if (depth >= depthMax) throw new Error(`is nested deeper than ${depthMax}`);
    deps[depth++] = items;
    items = inside;
  }
}

function number(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw new Error("ends too early");
  let read = 0;
  for (let index = at; index < at + size; index++) read = read * 256 + (bytes[index] as number);
  return read;
}

const timestampType = 0xff;
const undefinedType = 0x00;

/** Number of bytes after `token` that belong to an extension. Throws unless the extension is the allowed one. */
function extensionBytes(bytes: Uint8Array, at: number, token: number, allowed: Allowed["extension"]): number {
  if (allowed === "undefined" && token === 0xd4 && bytes[at] === undefinedType) return 2;
  if (allowed === "timestamp") {
    if (token === 0xd6 && bytes[at] === timestampType) return 5;
    if (token === 0xd7 && bytes[at] === timestampType) return 9;
    if (token === 0xc7 && bytes[at] === 12 && bytes[at + 1] === timestampType) return 14;
  }
  throw new Error("holds something other than plain data");
}
