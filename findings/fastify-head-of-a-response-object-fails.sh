#!/usr/bin/env bash
# HEAD of a route whose handler returns a web Response answers 500, for every Response.
#
# fastify 5.12.8. Fastify adds a HEAD route to each GET route (`exposeHeadRoutes`, on by default), and a handler may
# return a string, bytes, a Node stream, a ReadableStream or a Response. One expects HEAD to answer with the status and
# the header fields of GET, for all of them. For a Response it answers 500 (ERR_INVALID_ARG_TYPE), also if the Response
# has no body or has a content-length: the hook that ends a HEAD response takes everything but a stream for text or
# bytes, and measures its length. Monitors and link checkers that use HEAD see a failing service, while every GET
# succeeds.
# Source: headRouteOnSendHandler in lib/head-route.js of fastify/fastify.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent fastify@5.12.8
cat >run.mjs <<'JS'
import { Readable } from "node:stream";
import fastify from "fastify";

const app = fastify();
let problem = "";
app.addHook("onError", async (_request, _reply, error) => {
  problem = `, ${error.code}`;
});
const answers = {
  string: () => "a text",
  bytes: () => Buffer.from("a text"),
  stream: () => Readable.from(["a text"]),
  "web-stream": () => new Blob(["a text"]).stream(),
  response: () => new Response("a text"),
  "response-with-length": () => new Response("a text", { headers: { "content-length": "6" } }),
  "response-without-body": () => new Response(null, { status: 204 }),
};
for (const [name, handler] of Object.entries(answers)) app.get(`/${name}`, handler);
for (const name of Object.keys(answers)) {
  problem = "";
  const get = await app.inject({ method: "GET", url: `/${name}` });
  const head = await app.inject({ method: "HEAD", url: `/${name}` });
  console.log(`${name}: GET ${get.statusCode}, HEAD ${head.statusCode}${problem}`);
}
await app.close();
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
string: GET 200, HEAD 200
bytes: GET 200, HEAD 200
stream: GET 200, HEAD 200
web-stream: GET 200, HEAD 200
response: GET 200, HEAD 500, ERR_INVALID_ARG_TYPE
response-with-length: GET 200, HEAD 500, ERR_INVALID_ARG_TYPE
response-without-body: GET 204, HEAD 500, ERR_INVALID_ARG_TYPE
SEEN
echo "as described"
