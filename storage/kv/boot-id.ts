import { readFileSync } from "node:fs";
import { hostname, uptime } from "node:os";
import type { Clock } from "../../core/clock.js";

/**
 * Identifies this start of the system: writes without a sync are still there as long as the id is the same.
 * Linux has such an id. Elsewhere it is the host name and the minute in which the system started, by its clocks. When
 * the clocks are set, the id changes, and a cache that was not closed is discarded without need. A system that crashes
 * within its first minute and starts again within the same minute gets the same id.
 */
export function bootId(clock: Clock): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `${hostname()}-${Math.floor((clock.now() - uptime() * 1_000) / 60_000)}`;
  }
}
