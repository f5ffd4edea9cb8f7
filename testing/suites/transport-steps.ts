/** Steps that the suites of transports share. */
import { expect } from "vitest";
import type { Log } from "../../core/index.js";
import type { LinkStatus, Message, Transport } from "../../transport/index.js";

/** A broker of one kind: connects transports to it, stops it and starts it. */
export interface Setup {
  /** A new transport with a link. */
  connect(log?: Log): Promise<Transport>;
  /** Breaks all links, without warning, and takes no new ones. */
  stop(): Promise<void>;
  /** Takes links again. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Time-out of requests that get an answer. */
export const timeoutMs = 10_000;

/** Breaks the links of `transports`, and resolves when each has a link again. */
export async function breakLinks(setup: Setup, transports: readonly Transport[]): Promise<void> {
  const down = Promise.all(transports.map((transport) => status(transport, "disconnected")));
  await setup.stop();
  await down;
  const up = Promise.all(transports.map((transport) => status(transport, "connected")));
  await setup.start();
  await up;
}

/** Resolves at the next change of `transport` to `wanted`. */
export function status(transport: Transport, wanted: LinkStatus): Promise<void> {
  return new Promise((resolve) => {
    const end = transport.onStatus((now) => {
      if (now !== wanted) return;
      end();
      resolve();
    });
  });
}

/** Resolves to the results of `take` for the first `count` messages on `subjects`. */
export function receive<T>(transport: Transport, subjects: readonly string[], count: number, take: (message: Message) => T): Promise<T[]> {
  const taken: T[] = [];
  return new Promise((resolve) => {
    for (const subject of subjects) {
      transport.subscribe(subject, (message) => {
        taken.push(take(message));
        if (taken.length === count) resolve(taken);
      });
    }
  });
}

/** Resolves to the error that `promise` rejects with. */
export async function rejected(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it resolves"),
    (error: unknown) => error,
  );
}

/** The error that `action` throws. */
export function thrown(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return expect.unreachable("it does not throw");
}

/** Bytes in which a part in the wrong place shows. */
export function pattern(size: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4)).map((_, index) => Math.imul(index + seed, 0x9e3779b1));
  return new Uint8Array(words.buffer, 0, size);
}

/** The number `n` as a payload of four bytes. */
export function bytes(n: number): Uint8Array {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(n);
  return buffer;
}

/** The number in a payload that `bytes` made. */
export const read = (payload: Uint8Array): number => new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0);
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const untext = (payload: Uint8Array): string => new TextDecoder().decode(payload);
