#!/usr/bin/env bash
# A page behind @fastify/compress declares its Vary only in the responses that are coded.
#
# fastify 5.12.8, @fastify/compress 9.2.0, @fastify/etag 6.2.0. The request's Accept-Encoding decides whether a page is
# sent coded. One expects `Vary: accept-encoding` in every 200 of the page, and in every 304 (RFC 9110, 12.5.5 and
# 15.4.5: a 304 has the fields that a 200 would have). Only the coded 200 has it. The 200 for a client that sends no
# Accept-Encoding has no Vary, so that a shared cache that serves this client first may give the uncoded body to all
# clients. The 304 of the coded page has no Vary, though its 200 had one.
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
