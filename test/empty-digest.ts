import { emptyHistory } from "../storage/records.js";

/** Digest of a history without any transaction. */
export const emptyDigest = emptyHistory.digest;
