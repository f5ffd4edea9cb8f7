import { hash } from "node:crypto";
import type { Writer } from "./messages.js";

/** Hexadecimal digits of a proof: as many as fit into an id, so that a proof cannot be guessed. */
const proofLength = 64;

/** The proof with which `writer` answers `nonce` for `storage` of `realm`. */
export function writerProof(realm: string, storage: string, nonce: string, writer: Omit<Writer, "proof">): string {
  const { instance, startedAt, role, position } = writer;
  const facts = [nonce, realm, storage, instance, startedAt, role, position.tid, position.digest];
  return hash("sha256", JSON.stringify(facts), "hex").slice(0, proofLength);
}

/** Whether `writer` is the answer to `nonce` of a server that writes `storage` of `realm`. */
export function isProven(realm: string, storage: string, nonce: string, writer: Writer): boolean {
  return writer.role !== "reader" && writer.proof === writerProof(realm, storage, nonce, writer);
}
