import { errorClass } from "./base.js";

/** A key is not 1 to 512 UTF-8 bytes without NUL. */
export class InvalidKeyError extends errorClass({
  code: "ZOOID_INVALID_KEY",
  facts: { key: "string", reason: "string" },
  message: ({ key, reason }) => `key ${JSON.stringify(key)} ${reason}`,
}) {}

/** A value has a part that cannot be stored (a function, a cycle, a class instance), or is nested too deep. */
export class InvalidValueError extends errorClass({
  code: "ZOOID_INVALID_VALUE",
  facts: { path: "string", reason: "string" },
  message: ({ path, reason }) => `value${path === "" ? "" : ` at ${path}`} ${reason}`,
}) {}

/** The schema for this key refused the value. */
export class SchemaError extends errorClass({
  code: "ZOOID_SCHEMA",
  facts: { key: "string", reason: "string" },
  message: ({ key, reason }) => `value of ${JSON.stringify(key)} does not fit its schema: ${reason}`,
}) {}

/** A tag is not `a:b:c` of letters, digits, `_` and `.`, or has more than 256 characters or 16 levels. */
export class InvalidTagError extends errorClass({
  code: "ZOOID_INVALID_TAG",
  facts: { tag: "string", reason: "string" },
  message: ({ tag, reason }) => `tag ${JSON.stringify(tag)} ${reason}`,
}) {}

/**
 * An argument of a cached function cannot become part of a key (a function, a symbol, a class instance, a cycle), or is
 * too large.
 */
export class InvalidKeyArgumentError extends errorClass({
  code: "ZOOID_INVALID_KEY_ARGUMENT",
  facts: { path: "string", reason: "string" },
  message: ({ path, reason }) => `argument ${path} ${reason}`,
}) {}

/** An option, flag or environment variable has an invalid value. */
export class InvalidOptionError extends errorClass({
  code: "ZOOID_INVALID_OPTION",
  facts: { option: "string", reason: "string" },
  message: ({ option, reason }) => `option ${option} ${reason}`,
}) {}

/** A message, or one transaction, is larger than messageBytesMax or has more keys than transactionKeysMax. */
export class TooLargeError extends errorClass({
  code: "ZOOID_TOO_LARGE",
  facts: { what: "string", size: "number", sizeMax: "number" },
  message: ({ what, size, sizeMax }) => `${what} is ${size}, and the maximum is ${sizeMax}`,
}) {}

/** A message does not fit the protocol: it is truncated, or has a wrong structure or type. */
export class MalformedMessageError extends errorClass({
  code: "ZOOID_MALFORMED_MESSAGE",
  facts: { what: "string", reason: "string" },
  message: ({ what, reason }) => `${what} is malformed: ${reason}`,
}) {}

/** The other process uses another version of the protocol. */
export class ProtocolVersionError extends errorClass({
  code: "ZOOID_PROTOCOL_VERSION",
  facts: { version: "number", supported: "number" },
  message: ({ version, supported }) => `protocol version ${version} is not supported, only ${supported}`,
}) {}

/** The server serves no storage of this name. */
export class UnknownStorageError extends errorClass({
  code: "ZOOID_UNKNOWN_STORAGE",
  facts: { storage: "string" },
  message: ({ storage }) => `the server has no storage ${JSON.stringify(storage)}`,
}) {}

/** The server or the client is read-only. */
export class ReadOnlyError extends errorClass({
  code: "ZOOID_READ_ONLY",
  facts: { who: "string" },
  message: ({ who }) => `the ${who} is read-only`,
}) {}
