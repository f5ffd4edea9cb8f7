#!/usr/bin/env bash
# @fastify/etag and @fastify/compress give one strong entity tag to two different bodies, in either order of
# registration.
#
# fastify 5.12.8, @fastify/etag 6.2.0, @fastify/compress 9.2.0. One expects that etag, registered after compress,
# computes the tag from the coded bytes; or that compress makes a strong tag weak, as RFC 9110 (8.8.1, 8.8.3.3) requires
# when one tag stands for two codings. But compress adds its hook to each route, so that it runs after every hook of the
# application: etag always hashes the uncoded body, and compress does not change the strong tag. The gzip response and
# the identity response of one page have the same strong tag, so that a cache may combine ranges of the two (RFC 9110,
# 14.4) or revalidate one with the other.
# Source: onRoute in index.js of fastify/fastify-compress; index.js of fastify/fastify-etag.
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

for (const [order, plugins] of [["etag, then compress", [etag, compress]], ["compress, then etag", [compress, etag]]]) {
  const app = fastify();
  for (const plugin of plugins) await app.register(plugin);
  app.get("/", () => ({ text: "a text that is worth coding. ".repeat(100) }));
  const identity = await app.inject({ url: "/", headers: { "accept-encoding": "identity" } });
  const gzip = await app.inject({ url: "/", headers: { "accept-encoding": "gzip" } });
  const tags = [identity, gzip].map(({ headers }) => headers.etag);
  const kinds = tags.map((tag) => (tag.startsWith("W/") ? "weak" : "strong"));
  console.log(`${order}: coding ${gzip.headers["content-encoding"]}, bodies ${identity.rawPayload.equals(gzip.rawPayload) ? "equal" : "differ"}, tags ${kinds.join(" and ")}, ${tags[0] === tags[1] ? "equal" : "differ"}`);
  await app.close();
}
JS
node run.mjs | tee seen
diff seen - <<'SEEN'
etag, then compress: coding gzip, bodies differ, tags strong and strong, equal
compress, then etag: coding gzip, bodies differ, tags strong and strong, equal
SEEN
echo "as described"
