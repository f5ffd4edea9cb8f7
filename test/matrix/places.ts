import { cacheSettings } from "../../actors/cache-options.js";
import { type Tier, tiers } from "./cell.js";
import type { Member } from "./member.js";
import type { NodeOptions } from "./protocol.js";

const hasBucket = (() => {
  try {
    return cacheSettings({ storageUrl: "nats://host/bucket" }) !== undefined;
  } catch {
    return false;
  }
})();

/** Tiers that this version has. */
export const tiersThere: readonly Tier[] = tiers.filter((tier) => hasBucket || tier !== "memory + bucket");

/** Where a node keeps the results of a cell, and hears of invalidations. */
export function placesOf(tier: Tier, cell: string, { link, folder }: Member): NodeOptions {
  const address = `nats://127.0.0.1:${link.port}`;
  switch (tier) {
    case "memory":
      return { busUrl: address };
    case "memory + LMDB":
      return { busUrl: address, storageUrl: `lmdb:${folder}/${cell}` };
    case "memory + bucket":
      return { storageUrl: `${address}/${cell}` };
  }
}
