import type { RecordEntry } from "../actors/index.js";
import { onAbort } from "../core/index.js";
import type { RecordSource } from "./record-source.js";
import type { Surroundings } from "./surroundings.js";

export interface Following {
  /** Takes the entries. The following ends when it returns true. */
  readonly take: (entry: RecordEntry) => boolean;
  /** The following ends after this time. Default: it does not. */
  readonly forMs?: number | undefined;
  /** Called once, after `afterMs`: processes answer within much less. */
  readonly notice?: { readonly afterMs: number; readonly show: () => void } | undefined;
}

/**
 * Follows a record until it is over. Rejects with the reason of the signal, which ends every command, and
 * with the error that `take` throws.
 */
export async function followRecord(
  { clock, watch, onStatus, flush }: RecordSource,
  { say, signal }: Pick<Surroundings, "say" | "signal">,
  { take, forMs, notice }: Following,
): Promise<void> {
  const ends: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const attempt = (entry: RecordEntry) => {
        try {
          if (take(entry)) resolve();
        } catch (error) {
          reject(error);
        }
      };
      ends.push(watch(attempt));
      ends.push(onStatus((line) => say(`zooid: ${line}`)));
      ends.push(onAbort(signal, () => reject(signal.reason as Error)));
      const timers = [
        forMs === undefined ? undefined : clock.setTimeout(resolve, forMs),
        notice === undefined ? undefined : clock.setTimeout(notice.show, notice.afterMs),
      ];
      ends.push(() => {
        for (const timer of timers) clock.clearTimeout(timer);
      });
    });
  } finally {
    for (const end of ends) end();
    // The lease ends at once, not some seconds later.
    await flush();
  }
}
