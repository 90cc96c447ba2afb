// What is drawn: the layouts of all open scopes in the coordinates of the whole picture.
//
// scene: {boxes, edges, regions, boxAt: Map(node -> box), width, height}, outer scopes first.
// Everything has its bounds {left, top, right, bottom}: what is out of sight is passed over.

function sceneOf(root, state) {
  const layout = layoutScope(root, state);
  const scene = {boxes: [], edges: [], regions: [], boxAt: new Map(),
                 width: layout.width, height: layout.height, depth: 0};
  let level = [{layout, x: 0, y: 0}];
  for (let depth = 0; level.length; depth++) {
    scene.depth = depth;
    level = level.flatMap((placed) => addLayout(scene, placed, depth));
  }
  return scene;
}

// Add the contents of one scope; returns the layouts inside it, with their places.
function addLayout(scene, {layout, x, y}, depth) {
  const inner = [];
  for (const box of layout.boxes) {
    const left = x + box.x;
    const top = y + box.y;
    const added = {node: box.node, depth, left, top, right: left + box.width,
                   bottom: top + box.height, isOpen: box.inner.length > 0};
    scene.boxes.push(added);
    scene.boxAt.set(box.node, added);
    for (const each of box.inner) {
      scene.regions.push({label: each.scope.label, depth, left: left + each.x,
                          top: top + each.y - 16});
      inner.push({layout: each.layout, x: left + each.x, y: top + each.y});
    }
  }
  for (const edge of layout.edges) scene.edges.push(movedEdge(edge, x, y, depth));
  return inner;
}

function movedEdge(edge, x, y, depth) {
  const moved = {from: edge.from, to: edge.to, distant: edge.distant, own: edge.own, depth,
                 points: new Float64Array(edge.points.length),
                 left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity};
  for (let k = 0; k < edge.points.length; k += 2) {
    const px = moved.points[k] = edge.points[k] + x;
    const py = moved.points[k + 1] = edge.points[k + 1] + y;
    moved.left = Math.min(moved.left, px);
    moved.right = Math.max(moved.right, px);
    moved.top = Math.min(moved.top, py);
    moved.bottom = Math.max(moved.bottom, py);
  }
  return moved;
}

function meets(thing, area) {
  return thing.left <= area.right && thing.right >= area.left
    && thing.top <= area.bottom && thing.bottom >= area.top;
}

// The innermost box at a point. An open box is hit at its head only.
function boxUnder(scene, x, y) {
  for (let i = scene.boxes.length - 1; i >= 0; i--) {
    const box = scene.boxes[i];
    if (x >= box.left && x <= box.right && y >= box.top
        && y <= (box.isOpen ? box.top + BOX.head : box.bottom)) return box;
  }
  return null;
}

// Which nodes and edges stand out for a chosen node: what it reads and what reads it.
function highlightOf(node, scene) {
  const found = {node, reads: new Set(), readers: new Set()};
  if (!node) return found;
  for (const edge of scene.edges) {
    if (edge.to === node) found.reads.add(edge.from);
    if (edge.from === node) found.readers.add(edge.to);
  }
  return found;
}
