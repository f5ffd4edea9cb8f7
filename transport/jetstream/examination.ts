import { DisconnectedError, limits } from "../../core/index.js";
import type { BusPosition } from "../bus.js";
import { historyMarginMs } from "../bus-pace.js";
import type { StreamNames } from "./stream-names.js";
import { epochOf, type EpochRecord, isEarlier, type StreamHistory } from "./history.js";
import type { StreamIntake } from "./intake.js";
import type { LatestRepeated } from "./latest.js";
import { readBusWord, tagTokens, writeBusWord } from "./messages.js";
import { replay, type ReplayOptions } from "./replay.js";
import type { SentProof } from "../sent-proof.js";
import type { HeldInvalidations, KnownInvalidation } from "./known-invalidations.js";

/** Dependencies of an examination. */
export interface ExaminationDeps extends Omit<ReplayOptions, "signal"> {
  readonly names: StreamNames;
  readonly history: StreamHistory;
  readonly intake: StreamIntake;
  readonly latest: LatestRepeated;
  readonly proof: SentProof;
  /** Called with the time for which the stream keeps invalidations now. */
  readonly onHistory: (historyMs: number) => void;
}

/**
 * Examines a stream before a node follows it: a message of its own has to come back, the history has to be the
 * one that the node knew, and a replay delivers what the node has missed.
 *
 * Source: DESIGN, "Versions", "Gaps"; INTERLEAVINGS B2, B3, B5.
 */
export class StreamExamination {
  readonly #deps: ExaminationDeps;
  /** History went back, and no new epoch record has been written yet. */
  #wentBack = false;

  constructor(deps: ExaminationDeps) {
    this.#deps = deps;
  }

  /** An acknowledgement showed that history went back: the next examination writes another epoch record. */
  doubtHistory(): void {
    this.#wentBack = true;
  }

  /**
   * Compares the stream with what this node knows, and sets the position from which `replayMissing` goes on.
   * Rejects with the signal's reason, DisconnectedError, TimeoutError, or JetStreamRefusal.
   */
  async examine(signal: AbortSignal): Promise<void> {
    const { names, api, history, intake, latest, proof, clock, log, silenceMsMax, onHistory } = this.#deps;
    const { created, firstSequence, historyMs } = await api.findStream();
    signal.throwIfAborted();
    onHistory(historyMs);
    const known = intake.position;
    proof.forgetSent();
    const sentAt = proof.sending();
    const hello = await api.append("beat", writeBusWord({ type: "beat", epoch: known?.epoch ?? "", knew: known?.sequence ?? 0 }), {});
    proof.sent(hello.sequence, sentAt);
    // The flag stands until a new epoch is written: if this examination fails, the stream may have counted past `known`
    // by the next one.
    if (known !== undefined && hello.sequence <= known.sequence) this.#wentBack = true;
    await latest.reaches(hello.sequence, silenceMsMax, signal);
    const beat = await api.last("beat");
    if (beat === undefined || beat.sequence < hello.sequence) throw new DisconnectedError({ address: names.stream });
    intake.brokerAheadMs = beat.time - clock.monotonic();
    let record = (await history.read()) ?? (await history.write(undefined, known?.epoch));
    signal.throwIfAborted();
    const end = { epoch: epochOf(record, created), sequence: hello.sequence, time: beat.time };
    let isWhole = known?.epoch === end.epoch && end.time - known.time < historyMs - historyMarginMs(silenceMsMax);
    const isSame = known?.epoch === end.epoch;
    // Another node has written a new epoch since. That alone makes this node begin anew.
    if (!isSame) this.#wentBack = false;
    else if (await this.#isBehind(known, isWhole ? firstSequence : undefined, end, signal)) this.#wentBack = true;
    if (this.#wentBack || (!isSame && this.#isLost(record, known, created))) {
      log.warn({ stream: names.stream, known: known?.sequence, found: end.sequence }, "the history of invalidations went back");
      record = await history.write(record, known?.epoch);
      this.#wentBack = false;
      isWhole = false;
    }
    signal.throwIfAborted();
    const held = isWhole ? undefined : await this.#heldUpTo(end, signal);
    signal.throwIfAborted();
    intake.begin({ ...end, epoch: epochOf(record, created) }, record, held);
    signal.throwIfAborted();
  }

  /** Whether all messages that the stream has repeated on this link were applied. */
  get isWhole(): boolean {
    const { intake, latest } = this.#deps;
    return intake.last >= latest.sequence;
  }

  /**
   * Applies what this node has missed. A consumer passes over an invalidation that a later one of its tag has
   * superseded, which may be one that the stream took while the consumer delivered. So the node has applied all that
   * it missed only once it has reached the end that the stream has after that. Rejects as `examine` does.
   */
  async replayMissing(signal: AbortSignal): Promise<void> {
    const { names, api, intake, latest, silenceMsMax, log } = this.#deps;
    while (!this.isWhole) {
      const from = intake.last + 1;
      await replay({ sequence: from }, this.#replaying(signal), (delivery) => {
        if (!signal.aborted) intake.takeReplayed(delivery);
        return signal.aborted || this.isWhole;
      });
      signal.throwIfAborted();
      const { sequence: end } = await api.lastSequence(limits.busPublishTimeoutMs);
      signal.throwIfAborted();
      await latest.reaches(end, silenceMsMax, signal);
      log.debug({ stream: names.stream, from, to: intake.last }, "missed invalidations were replayed");
    }
  }

  /**
   * The latest invalidations of the stream. A node that begins at the end keeps them, to notice if the stream loses
   * one.
   */
  async #heldUpTo({ sequence: end }: BusPosition, signal: AbortSignal): Promise<HeldInvalidations> {
    const since = Math.max(1, end + 1 - limits.knownInvalidationsMax);
    const invalidations: (KnownInvalidation & { readonly id: string })[] = [];
    await replay({ sequence: since }, this.#replaying(signal), ({ sequence, word }) => {
      if (sequence <= end && word.type === "invalidate") invalidations.push({ sequence, tag: word.tag, id: word.id });
      return sequence >= end;
    });
    return { since, invalidations };
  }

  /** Whether the stream has counted anew beyond `known`: it lost its end, or was restored from an older copy. */
  async #isBehind(known: BusPosition, firstSequence: number | undefined, end: BusPosition, signal: AbortSignal): Promise<boolean> {
    if (firstSequence === undefined) return false;
    if (await this.#hasLostEnd(firstSequence, signal)) return true;
    const { intake, silenceMsMax } = this.#deps;
    let isBehind = false;
    // If the stream has counted anew, its messages differ from the ones that this node has applied.
    const start = { sequence: Math.max(1, known.sequence + 1 - limits.knownInvalidationsMax) };
    await replay(start, this.#replaying(signal), (delivery) => {
      isBehind = intake.isContradictedBy(delivery);
      return isBehind || delivery.sequence >= known.sequence;
    });
    // Further back only times can be compared. They are exact to some milliseconds, and the clocks of two leaders
    // differ.
    const slackMs = silenceMsMax;
    if (isBehind || end.time - known.time <= 2 * slackMs) return isBehind;
    await replay({ sinceMs: known.time + slackMs }, this.#replaying(signal), ({ sequence }) => {
      isBehind = sequence <= known.sequence;
      return true;
    });
    return isBehind;
  }

  /**
   * Whether the stream's leader has lost an invalidation that is known here. A leader always loses an end of the
   * stream, even if heartbeats were counted in its place since. So it is enough to look for the latest known
   * invalidation. If a later one of its tag has superseded it, this node looks for the one before it, and so on:
   * usually that is one request. Invalidations before `firstSequence` may be too old to be there.
   */
  async #hasLostEnd(firstSequence: number, signal: AbortSignal): Promise<boolean> {
    const { intake, api } = this.#deps;
    const known = intake.known.filter(({ sequence }) => sequence > firstSequence);
    let asked: readonly KnownInvalidation[];
    for (let from = 0, count = 1; from < known.length; from += asked.length, count = limits.tagsExaminedMax) {
      asked = known.slice(from, from + count);
      const held = await Promise.all(asked.map(({ tag }) => api.last(tagTokens(tag))));
      signal.throwIfAborted();
      for (const [index, { tag, sequence, id }] of asked.entries()) {
        const found = held[index];
        if (found === undefined || found.sequence < sequence) return true;
        if (found.sequence > sequence) continue;
        const word = readBusWord(tagTokens(tag), found.payload);
        return id !== undefined && word.type === "invalidate" && word.id !== id;
      }
    }
    return false;
  }

  /**
   * Whether the record of this node's history is gone, and `found` is the record of an earlier history: entries that
   * were stored under that name would be valid again. The sequence of `found` may be later, because records are
   * renewed.
   */
  #isLost(found: EpochRecord, known: BusPosition | undefined, created: string): boolean {
    if (known?.epoch.endsWith(` ${created}`) !== true) return false;
    const { record } = this.#deps.intake;
    return isEarlier(found, known.epoch) ?? (record !== undefined && found.sequence <= record.sequence);
  }

  #replaying(signal: AbortSignal): ReplayOptions {
    return { ...this.#deps, signal };
  }
}
