import { readFileSync } from "node:fs";
import { hostname, uptime } from "node:os";

/**
 * Identifies this start of the system: what was written without a sync by a process under the same id is still there.
 * Linux has such an id. Elsewhere it is the host's name and the minute of its start, rounded, by its clocks: if they are
 * set meanwhile the id differs, and a cache that was not closed is discarded without need, never kept without right.
 */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `${hostname()}-${Math.round((Date.now() / 1_000 - uptime()) / 60)}`;
  }
}
