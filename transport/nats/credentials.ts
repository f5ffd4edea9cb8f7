import { InvalidOptionError } from "../../core/index.js";
import { didYouMean } from "../../core/similar-name.js";
import type { NatsDialOptions, NatsTls } from "./dial.js";

/** The type of each option of `tls`. */
const tlsOptions: { readonly [Name in keyof Required<NatsTls>]: "string" | "boolean" } = {
  ca: "string",
  cert: "string",
  key: "string",
  caFile: "string",
  certFile: "string",
  keyFile: "string",
  serverName: "string",
  handshakeFirst: "boolean",
};

/**
 * Checks the types of the options that authenticate this process. A broker refuses credentials of another type without
 * a reason. Throws InvalidOptionError, which repeats no value, because the value may be a secret.
 */
export function checkCredentials({ user, password, token, tls, resolve }: NatsDialOptions): void {
  for (const [option, value] of Object.entries({ user, password, token })) {
    if (value !== undefined && typeof value !== "string") throw new InvalidOptionError({ option, reason: "is not a string" });
  }
  if (resolve !== undefined && typeof resolve !== "function")
    throw new InvalidOptionError({ option: "resolve", reason: "is not a function" });
  if (tls === undefined) return;
  if (typeof tls !== "object" || tls === null)
    throw new InvalidOptionError({
      option: "tls",
      reason: `is not an object with ${Object.keys(tlsOptions).join(", ")}; to trust who the system trusts, write tls://host:4222`,
    });
  for (const [name, value] of Object.entries(tls)) {
    const type = Object.hasOwn(tlsOptions, name) ? tlsOptions[name as keyof NatsTls] : undefined;
    const option = `tls.${name}`;
    if (type === undefined) throw new InvalidOptionError({ option, reason: `is not known${didYouMean(name, Object.keys(tlsOptions))}` });
    if (value !== undefined && typeof value !== type) throw new InvalidOptionError({ option, reason: `is not a ${type}` });
  }
}
