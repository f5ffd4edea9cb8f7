#!/usr/bin/env bash
# A web Response with its own Vary removes the `Vary: Origin` of @fastify/cors, and keeps the allowed origin.
#
# fastify 5.12.8, @fastify/cors 11.4.3, @fastify/compress 9.2.0. With several allowed origins, @fastify/cors puts the
# request's origin into Access-Control-Allow-Origin and adds `Vary: Origin`, so that no shared cache gives the response
# for one origin to another. A handler returns a Response, for example one that it got from `fetch`, with `Vary:
# accept-language`. One expects both names in Vary: the hook and the handler each state what the response depends on,
# the cookies of both are kept, and @fastify/compress adds a name to an existing Vary. But Fastify copies each field of
# the Response except cookies over an existing one. Vary is accept-language alone, while the allowed origin is still
# that of this request. A shared cache may then give the response to the other origin, whose browser refuses it.
# `reply.header("vary", …)` in a handler does the same, but there the handler can see the value that it replaces.
# Source: onSendEnd in lib/reply.js of fastify/fastify; addOriginToVaryHeader in vary.js of fastify/fastify-cors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent fastify@5.12.8 @fastify/cors@11.4.3 @fastify/compress@9.2.0
cat >run.mjs <<'JS'
import compress from "@fastify/compress";
import cors from "@fastify/cors";
import fastify from "fastify";

const allowed = { origin: ["https://one.example", "https://two.example"] };
const text = "a text that is worth coding. ".repeat(100);
const answers = {
  "a string": () => text,
  "a Response": () => new Response(text, { headers: { "set-cookie": "b=2" } }),
  "a Response with Vary": () => new Response(text, { headers: { vary: "accept-language", "set-cookie": "b=2" } }),
};

async function show(plugins, title) {
  for (const [name, answer] of Object.entries(answers)) {
    const app = fastify();
    for (const [plugin, options] of plugins) await app.register(plugin, options);
    app.get("/", (_request, reply) => {
      reply.header("set-cookie", "a=1");
      return answer();
    });
    const { headers } = await app.inject({ url: "/", headers: { origin: "https://one.example", "accept-encoding": "gzip" } });
    const cookies = [headers["set-cookie"]].flat().join(" ");
    console.log(`${title}, ${name}: origin ${headers["access-control-allow-origin"] ?? "none"}, coding ${headers["content-encoding"] ?? "none"}, vary ${headers.vary ?? "none"}, cookies ${cookies}`);
    await app.close();
  }
}
await show([[cors, allowed]], "cors");
await show([[cors, allowed], [compress, {}]], "cors and compress");
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
cors, a string: origin https://one.example, coding none, vary Origin, cookies a=1
cors, a Response: origin https://one.example, coding none, vary Origin, cookies a=1 b=2
cors, a Response with Vary: origin https://one.example, coding none, vary accept-language, cookies a=1 b=2
cors and compress, a string: origin https://one.example, coding gzip, vary Origin, accept-encoding, cookies a=1
cors and compress, a Response: origin https://one.example, coding gzip, vary Origin, accept-encoding, cookies a=1 b=2
cors and compress, a Response with Vary: origin https://one.example, coding gzip, vary accept-language, accept-encoding, cookies a=1 b=2
SEEN
echo "as described"
