import { createHash } from "node:crypto";
import type { Random } from "./random.js";

/** A new secret: 32 characters of `0-9a-f`, 128 bits of chance. */
export function newSecret(random: Random): string {
  return random.id() + random.id();
}

/** Length of what `publicId` returns. */
export const publicIdLength = 16;

/**
 * The name under which the owner of `secret` is known to others: 96 bits of its hash, in letters, digits, `_` and `-`.
 * It may stand in logs, in the status and in addresses: nobody finds the secret by it.
 */
export function publicId(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url").slice(0, publicIdLength);
}
