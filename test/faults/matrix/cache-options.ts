import type { Tier } from "./cell.js";
import type { Member } from "./member.js";
import type { NodeOptions } from "./protocol.js";

/** Options for where a node keeps the results of a cell, and for its bus. */
export function cacheOptionsOf(tier: Tier, cell: string, { link, folder }: Member): NodeOptions {
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
