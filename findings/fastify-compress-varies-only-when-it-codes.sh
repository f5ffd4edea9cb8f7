#!/usr/bin/env bash
# A page behind @fastify/compress says that it varies only in the responses that are coded.
#
# fastify 5.12.8, @fastify/compress 9.2.0, @fastify/etag 6.2.0. A page is sent coded or not by the request's Accept-Encoding. One expects
# `Vary: accept-encoding` in every 200 of it, and in every 304 (RFC 9110, 12.5.5 and 15.4.5: what a 200 would have had). Only the coded 200 has
# it. The 200 for a client that sends no Accept-Encoding has no Vary, so that a shared cache that meets this client first may give the
# uncoded body to all clients; and the 304 of the coded page has none, though its 200 had.
# Source: onSend in index.js of fastify/fastify-compress; index.js of fastify/fastify-etag.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent fastify@5.12.8 @fastify/compress@9.2.0 @fastify/etag@6.2.0
cat >run.mjs <<'JS'
import compress from "@fastify/compress";
import etag from "@fastify/etag";
import fastify from "fastify";

const app = fastify();
await app.register(etag);
await app.register(compress);
app.get("/", () => ({ text: "a text that is worth coding. ".repeat(100) }));
const show = (what, { statusCode, headers }) => console.log(`${what}: ${statusCode}, coding ${headers["content-encoding"] ?? "none"}, vary ${headers.vary ?? "none"}`);
const coded = await app.inject({ url: "/", headers: { "accept-encoding": "gzip" } });
show("accept-encoding: gzip", coded);
show("the same, with if-none-match", await app.inject({ url: "/", headers: { "accept-encoding": "gzip", "if-none-match": coded.headers.etag } }));
show("no accept-encoding", await app.inject({ url: "/" }));
await app.close();
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
accept-encoding: gzip: 200, coding gzip, vary accept-encoding
the same, with if-none-match: 304, coding none, vary none
no accept-encoding: 200, coding none, vary none
SEEN
echo "as described"
