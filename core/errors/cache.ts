import { errorClass } from "./base.js";

/** The stream of the invalidation bus exists, but its settings would lose invalidations. Zooid does not change it. */
export class UnfitStreamError extends errorClass({
  code: "ZOOID_UNFIT_STREAM",
  facts: { stream: "string", setting: "string", found: "string", needed: "string" },
  message: ({ stream, setting, found, needed }) =>
    `stream ${stream} cannot carry invalidations: its ${setting} is ${found}, change it to ${needed}`,
}) {}

/** The broker has no JetStream for this user. */
export class NoJetStreamError extends errorClass({
  code: "ZOOID_NO_JET_STREAM",
  transient: true,
  facts: { address: "string" },
  message: ({ address }) => `the broker at ${address} has no JetStream: turn it on (nats-server --jetstream), or use busKind: "nats"`,
}) {}

/** A function of the module was called before `configure`, or before its promise resolved. */
export class NotConfiguredError extends errorClass({
  code: "ZOOID_NOT_CONFIGURED",
  facts: { called: "string" },
  message: ({ called }) => `${called} was called before the cache was configured: await configure() first`,
}) {}

/** Dependencies were added outside of a cached function, or after it had ended. */
export class OutsideComputationError extends errorClass({
  code: "ZOOID_OUTSIDE_COMPUTATION",
  facts: { called: "string" },
  message: ({ called }) => `${called} was called outside of a computation`,
}) {}

/** Cached calls would wait for each other for ever. */
export class CircularCallError extends errorClass({
  code: "ZOOID_CIRCULAR_CALL",
  facts: { circle: "string" },
  message: ({ circle }) => `cached calls wait for each other: ${circle}`,
}) {}

/**
 * A synchronous function cannot keep its results in a shared bucket, because a read from the bucket is asynchronous.
 */
export class SyncTierError extends errorClass({
  code: "ZOOID_SYNC_TIER",
  facts: { called: "string" },
  message: ({ called }) => `${called} returns no promise, but its results are kept in a bucket: make it async, or use memory: or lmdb:`,
}) {}
