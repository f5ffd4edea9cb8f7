import { emptyHistory } from "../../storage/objects/records.js";

/** Digest of a history without any transaction. */
export const emptyDigest = emptyHistory.digest;
