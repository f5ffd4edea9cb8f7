import { UnfitStreamError } from "../../core/index.js";
import type { Fields, StreamNames } from "./stream-names.js";

/** The requirements of invalidations for a stream, which another client may have made. */
export interface StreamNeeds {
  readonly names: StreamNames;
  /** A shorter history leaves no time to find out which invalidations were missed. */
  readonly historyMsMin: number;
}

const republishOf = ({ taken, repeated }: StreamNames) => `${taken}.> to ${repeated}.>`;

/**
 * How long a stream of the settings `found` keeps a message; Infinity: for ever. Throws UnfitStreamError, which says
 * what to change.
 */
export function historyOf(found: Fields, { names, historyMsMin }: StreamNeeds): number {
  const need = (isMet: boolean, setting: string, is: unknown, needed: string): void => {
    if (!isMet) throw new UnfitStreamError({ stream: names.stream, setting, found: String(is), needed });
  };
  const subjects = Array.isArray(found.subjects) ? (found.subjects as readonly unknown[]).join(", ") : "";
  need(subjects === `${names.taken}.>`, "subjects", subjects, `${names.taken}.>`);
  const { src, dest } = (found.republish ?? {}) as Fields;
  const repeats = src === undefined ? "nothing" : `${String(src)} to ${String(dest)}`;
  need(repeats === republishOf(names), "republish", repeats, republishOf(names));
  need(found.retention === "limits", "retention", found.retention, "limits");
  // A stream that drops its oldest messages for room loses invalidations without notice.
  const isBounded = isLimit(found.max_msgs) || isLimit(found.max_bytes);
  need(!isBounded || found.discard === "new", "discard", found.discard, "new, as it has a limit on its size");
  need(found.discard_new_per_subject !== true, "discard_new_per_subject", true, "false");
  need(found.no_ack !== true, "no_ack", true, "false");
  need(found.subject_transform === undefined || found.subject_transform === null, "subject_transform", "one", "none");
  // With this setting, one message under one tag removes all the others.
  need(found.allow_rollup_hdrs !== true, "allow_rollup_hdrs", true, "false");
  const historyMs = isLimit(found.max_age) ? Number(found.max_age) / 1_000_000 : Infinity;
  need(historyMs >= historyMsMin, "max_age", `${historyMs} ms`, `at least ${historyMsMin} ms, or no limit`);
  return historyMs;
}

const isLimit = (value: unknown): boolean => typeof value === "number" && value > 0;
