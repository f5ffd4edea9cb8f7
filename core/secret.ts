import { createHash } from "node:crypto";
import type { Random } from "./random.js";

/** A new secret: 32 characters of `0-9a-f`, 128 random bits. */
export function newSecret(random: Random): string {
  return random.id() + random.id();
}

/** Length of the result of `publicId`. */
export const publicIdLength = 16;

/**
 * The public name of the owner of `secret`: 96 bits of its hash, in letters, digits, `_` and `-`.
 * It may appear in logs, in the status and in addresses: the secret cannot be derived from it.
 */
export function publicId(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url").slice(0, publicIdLength);
}
