import { readFileSync } from "node:fs";
import { hostname, uptime } from "node:os";
import type { Clock } from "../../core/clock.js";

/**
 * Identifies this start of the system: what a process wrote without a sync under the same id is still there.
 * Linux has such an id. Elsewhere it is the host's name and the minute in which it started, by its clocks: when they are
 * set the id changes and a cache that was not closed is discarded without need; a system that crashes within its first
 * minute, and is back within it, is not told apart.
 */
export function bootId(clock: Clock): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `${hostname()}-${Math.floor((clock.now() - uptime() * 1_000) / 60_000)}`;
  }
}
