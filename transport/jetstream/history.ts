import { type Random, DisconnectedError } from "../../core/index.js";
import type { StoredMessage, StreamApi } from "./api.js";
import { isOutrun } from "./ask.js";
import { recordName, writeBusWord } from "./messages.js";

/** The record that names the current history of the stream. */
export interface EpochRecord extends StoredMessage {
  readonly id: string;
}

/**
 * The epoch of sequences under `record`. A stream that was made again with the same record, for example from a copy, is
 * another history.
 */
export function epochOf(record: EpochRecord, created: string): string {
  return `${record.id} ${created}`;
}

const numbered = /^(\d{1,15})\./;

/**
 * The number of a history among the histories of its stream, by the id of its record: a later history has a greater
 * number. Undefined: a node of another version wrote the record.
 */
function numberOf(id: string): number | undefined {
  const digits = numbered.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Whether the history of `record` began before the history of `epoch` in the same stream; undefined: their names do not
 * show it.
 */
export function isEarlier({ id }: EpochRecord, epoch: string): boolean | undefined {
  const [one, other] = [numberOf(id), numberOf(epoch)];
  return one === undefined || other === undefined ? undefined : one < other;
}

/** Reads and writes the epoch record. If two nodes write at once, one of them wins, and both read its record. */
export class StreamHistory {
  readonly #api: StreamApi;
  readonly #random: Random;

  constructor(api: StreamApi, random: Random) {
    this.#api = api;
    this.#random = random;
  }

  /** Undefined if the stream has no record yet. */
  async read(): Promise<EpochRecord | undefined> {
    const stored = await this.#api.last("epoch");
    return stored && { ...stored, id: recordName(stored.payload) };
  }

  /**
   * Begins a new history, numbered after `previous` and after the epoch `known`. If another node wrote after
   * `previous`, returns that node's record.
   */
  write(previous: EpochRecord | undefined, known: string | undefined): Promise<EpochRecord> {
    const number = 1 + Math.max(numberOf(previous?.id ?? "") ?? 0, numberOf(known ?? "") ?? 0);
    return this.#write(previous?.sequence ?? 0, writeBusWord({ type: "epoch", id: `${number}.${this.#random.id()}` }));
  }

  /** Writes `record` again, unless another node wrote after it. */
  renew(record: EpochRecord): Promise<EpochRecord> {
    return this.#write(record.sequence, record.payload);
  }

  async #write(previous: number, payload: Uint8Array): Promise<EpochRecord> {
    try {
      await this.#api.append("epoch", payload, { "Nats-Expected-Last-Subject-Sequence": String(previous) });
    } catch (error) {
      if (!isOutrun(error)) throw error;
    }
    const record = await this.read();
    // The write that came first may not have been taken yet.
    if (record === undefined) throw new DisconnectedError({ address: "epoch record" });
    return record;
  }
}
