import { type Random, DisconnectedError } from "../../core/index.js";
import type { StreamApi } from "./api.js";
import { isOutrun } from "./ask.js";
import { recordName, writeBusWord } from "./messages.js";

/** The record that names the history the stream is in. */
export interface EpochRecord {
  readonly id: string;
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  /** As it was written, by a node of another version perhaps. */
  readonly payload: Uint8Array;
}

/** Epoch of what is counted under `record`. A stream made anew under the same record, from a copy for one, is another history too. */
export function epochOf(record: EpochRecord, created: string): string {
  return `${record.id} ${created}`;
}

const numbered = /^(\d{1,15})\./;

/** Place of a history among those of its stream, by the id of its record: a later one has a greater number. Undefined: a node of another version wrote it. */
function numberOf(id: string): number | undefined {
  const digits = numbered.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether `record` began a history of its stream before that of `epoch` began; undefined: their names do not tell. */
export function isEarlier({ id }: EpochRecord, epoch: string): boolean | undefined {
  const [one, other] = [numberOf(id), numberOf(epoch)];
  return one === undefined || other === undefined ? undefined : one < other;
}

/** Reads and writes the epoch record; of two who write at once, one wins, and both read that one. */
export class StreamHistory {
  readonly #api: StreamApi;
  readonly #random: Random;

  constructor(api: StreamApi, random: Random) {
    this.#api = api;
    this.#random = random;
  }

  /** Undefined in a stream that has none yet. */
  async read(): Promise<EpochRecord | undefined> {
    const stored = await this.#api.last("epoch");
    if (stored === undefined) return undefined;
    const { sequence, time, payload } = stored;
    return { id: recordName(payload), sequence, time, payload };
  }

  /** Names the history anew, as one after `previous` and after the epoch `known`, unless somebody else wrote after `previous`: then the record is theirs. */
  write(previous: EpochRecord | undefined, known: string | undefined): Promise<EpochRecord> {
    const number = 1 + Math.max(numberOf(previous?.id ?? "") ?? 0, numberOf(known ?? "") ?? 0);
    return this.#write(previous?.sequence ?? 0, writeBusWord({ type: "epoch", id: `${number}.${this.#random.id()}` }));
  }

  /** Writes `record` once more, unless somebody else wrote after it. */
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
