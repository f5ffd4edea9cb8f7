/** Reads values that Fastify 5 keeps under its own symbols and offers no other way to read. */
import type { FastifyInstance, FastifyReply } from "fastify";

type Serializer = (payload: unknown) => unknown;

/** The list of an app's hooks of this name; undefined if Fastify does not keep it where Fastify 5 does. */
export function hooksOf(app: FastifyInstance, name: string): unknown[] | undefined {
  const hooks = internal(app, "fastify.hooks");
  const list: unknown = typeof hooks === "object" && hooks !== null ? Reflect.get(hooks, name) : undefined;
  return Array.isArray(list) ? list : undefined;
}

/** Names of the trailers that are set for a reply. */
export function trailersOf(reply: FastifyReply): readonly string[] {
  const trailers = internal(reply, "fastify.reply.trailers");
  return typeof trailers === "object" && trailers !== null ? Object.keys(trailers) : [];
}

/** The serializer that was set for this reply alone. */
export function serializerOf(reply: FastifyReply): Serializer | undefined {
  const serializer = internal(reply, "fastify.reply.serializer");
  return typeof serializer === "function" ? (serializer as Serializer) : undefined;
}

function internal(of: object, name: string): unknown {
  for (const symbol of Object.getOwnPropertySymbols(of)) if (symbol.description === name) return Reflect.get(of, symbol);
  return undefined;
}
