#!/usr/bin/env bash
# ELK transposes `elk.nodeSize.minimum` of a node with children where the direction is DOWN or UP and one layout covers
# all levels.
#
# elkjs 0.12.1. The option is documented as the minimal width and height of a node, "(300,200)". With
# `elk.hierarchyHandling: INCLUDE_CHILDREN` and `elk.direction: DOWN` a node with children gets at least 200 × 300. A
# node without children gets 300 × 200 in the same graph; so do both with `SEPARATE_CHILDREN`, and with RIGHT and LEFT.
# One expects that a minimum means the same for every node, level and direction. The name of a wide box leaves its box.
# With the two numbers exchanged for nodes with children, the layout is right.
# See https://github.com/eclipse-elk/elk/issues/1033.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent elkjs@0.12.1
cat >run.cjs <<'JS'
const ELK = require("elkjs/lib/elk.bundled.js");

const layoutOptions = { "elk.nodeSize.constraints": "MINIMUM_SIZE", "elk.nodeSize.minimum": "(300,200)" };
const size = ({ width, height }) => `${width} × ${height}`;

async function main() {
  for (const hierarchy of ["SEPARATE_CHILDREN", "INCLUDE_CHILDREN"]) {
    for (const direction of ["RIGHT", "LEFT", "DOWN", "UP"]) {
      const holder = { id: "holder", layoutOptions, children: [{ id: "child", width: 40, height: 20 }] };
      const graph = { id: "graph", children: [holder, { id: "alone", width: 0, height: 0, layoutOptions }] };
      const options = { "elk.algorithm": "layered", "elk.hierarchyHandling": hierarchy, "elk.direction": direction };
      const { children } = await new ELK().layout(graph, { layoutOptions: options });
      console.log(`${hierarchy} ${direction}: with a child ${size(children[0])}, alone ${size(children[1])}`);
    }
  }
}

main();
JS
node run.cjs | tee seen
diff seen - <<'SEEN'
SEPARATE_CHILDREN RIGHT: with a child 300 × 200, alone 300 × 200
SEPARATE_CHILDREN LEFT: with a child 300 × 200, alone 300 × 200
SEPARATE_CHILDREN DOWN: with a child 300 × 200, alone 300 × 200
SEPARATE_CHILDREN UP: with a child 300 × 200, alone 300 × 200
INCLUDE_CHILDREN RIGHT: with a child 300 × 200, alone 300 × 200
INCLUDE_CHILDREN LEFT: with a child 300 × 200, alone 300 × 200
INCLUDE_CHILDREN DOWN: with a child 200 × 300, alone 300 × 200
INCLUDE_CHILDREN UP: with a child 200 × 300, alone 300 × 200
SEEN
echo "as described"
