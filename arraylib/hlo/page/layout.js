// Where everything goes. Each scope is laid out by itself, regions before the node that has them:
//
// 1. layers: a node stands below all it reads (longest path), and then as near to its readers as
//    that allows if that shortens edges;
// 2. edges get a place, a bend, in each layer they pass: all edges from one result share a trunk of
//    bends, as far as they go the same way, and the longest get none;
// 3. sweeps down and up: each layer is sorted by the mean place of its neighbours (barycenters) and
//    its members are put there, as nearly as their widths allow.
//
// All steps are linear in nodes and edges but for the sorting; none recurses along the graph.

const GAP_X = 18;
const GAP_Y = 30;
const BOX = {height: 36, least: 60, most: 330, pad: 9, letter: 6.65, head: 24, inset: 16};
const BENDS_PER_NODE = 4;  // so that the time stays linear: the longest edges get none

// {width, height, boxes: [{node, x, y, width, height}], edges: [...]} of a scope, from (0, 0).
function layoutScope(scope, state) {
  const cached = state.layouts.get(scope);
  if (cached) return cached;
  const boxes = visibleBoxes(scope, state);
  const edges = edgesBetween(boxes);
  const layers = layersOf(boxes, edges);
  const net = bendEdges(boxes, edges, layers);
  arrange(net);
  const found = placed(boxes, edges, net);
  state.layouts.set(scope, found);
  return found;
}

function visibleBoxes(scope, state) {
  const shown = scope.inputs.concat(scope.nodes).filter((node) => !isTucked(node, state));
  return shown.map((node) => boxOf(node, state));
}

function boxOf(node, state) {
  const box = {node, x: 0, y: 0, width: 0, height: BOX.height, inner: [], layer: 0};
  const letters = Math.max(titleOf(node).length, resultsOf(node).length);
  box.width = Math.min(BOX.most, Math.max(BOX.least, letters * BOX.letter + 2 * BOX.pad));
  if (state.open.has(node)) openBox(box, state);
  return box;
}

function titleOf(node) {
  if (node.family === "input") return node.name;
  const inside = node.scopes.length ? ` (${countInside(node)})` : "";
  return `${node.op}${inside}${node.detail ? " " + node.detail : ""}`;
}

function resultsOf(node) {
  if (node.family === "input") return node.types[0];
  return node.results.map((value) => `${value.name}: ${value.type}`).join(", ");
}

// The regions of a node side by side, below its own line.
function openBox(box, state) {
  let x = BOX.inset;
  let height = 0;
  for (const scope of box.node.scopes) {
    const layout = layoutScope(scope, state);
    box.inner.push({scope, layout, x, y: BOX.head + BOX.inset + 12});
    x += Math.max(layout.width, 80) + 2 * BOX.inset;
    height = Math.max(height, layout.height);
  }
  box.width = Math.max(box.width, x - BOX.inset);
  box.height = BOX.head + height + 2 * BOX.inset + 12;
}

// One edge for each operand: {from, to (numbers of boxes), result, slot}.
function edgesBetween(boxes) {
  const number = new Map(boxes.map((box, i) => [box.node, i]));
  const edges = [];
  boxes.forEach((box, to) => {
    box.node.operands.forEach((value, slot) => {
      const from = number.get(value.node);
      if (from !== undefined) edges.push({from, to, slot, result: value.index});
    });
  });
  return edges;
}

// -- layers ---------------------------------------------------------------------------------------

// Boxes by layer. They come in an order in which what is read comes first, and `edges` are grouped
// by the box they go to, in that order.
function layersOf(boxes, edges) {
  const most = Math.max(12, Math.ceil(Math.sqrt(boxes.length)));
  const rows = {most, counts: new Map(), ahead: new Map()};
  const isSource = descend(boxes, edges, rows);
  pullDown(boxes, edges, rows, isSource);
  const layers = new Map();
  boxes.forEach((box, i) => {
    if (!layers.has(box.layer)) layers.set(box.layer, []);
    layers.get(box.layer).push(i);
  });
  const order = [...layers.keys()].sort((a, b) => a - b);
  order.forEach((old, layer) => layers.get(old).forEach((i) => { boxes[i].layer = layer; }));
  return order.map((old) => layers.get(old));
}

// Each box below all it reads, in the first layer with room; sources wait, above all layers.
function descend(boxes, edges, rows) {
  const isSource = boxes.map(() => true);
  for (let i = 0, e = 0; i < boxes.length; i++) {
    let layer = -1;
    for (; e < edges.length && edges[e].to === i; e++) {
      layer = Math.max(layer, boxes[edges[e].from].layer + 1);
      isSource[i] = false;
    }
    boxes[i].layer = isSource[i] ? -1 : taken(rows, layer);
  }
  return isSource;
}

// Take a place in the first layer from `layer` on that has room.
function taken(rows, layer) {
  let found = layer;
  while (isFull(rows, found)) found = rows.ahead.get(found) ?? found + 1;
  for (let l = layer; l < found;) {  // a short cut for who comes next
    const next = rows.ahead.get(l) ?? l + 1;
    rows.ahead.set(l, found);
    l = next;
  }
  count(rows, found, 1);
  return found;
}

function isFull(rows, layer) {
  return (rows.counts.get(layer) || 0) >= rows.most;
}

function count(rows, layer, by) {
  rows.counts.set(layer, (rows.counts.get(layer) || 0) + by);
}

// Move what has no more operands than readers down to its readers: parameters, above all, and what
// is computed of them alone.
function pullDown(boxes, edges, rows, isSource) {
  const reads = new Int32Array(boxes.length);
  const readBy = new Int32Array(boxes.length);
  const lowest = new Float64Array(boxes.length).fill(Infinity);
  for (const {from, to} of edges) {
    if (!isSource[from]) reads[to]++;
    readBy[from]++;
  }
  for (let i = boxes.length - 1, e = edges.length - 1; i >= 0; i--) {
    if (isSource[i]) boxes[i].layer = above(rows, readBy[i] ? lowest[i] : -1);
    else if (readBy[i] && readBy[i] >= reads[i]) {
      count(rows, boxes[i].layer, -1);  // there is room here, if not nearer to the readers
      boxes[i].layer = above(rows, lowest[i]);
    }
    for (; e >= 0 && edges[e].to === i; e--) {
      lowest[edges[e].from] = Math.min(lowest[edges[e].from], boxes[i].layer - 1);
    }
  }
}

// Take a place in the last layer up to `layer` that has room.
function above(rows, layer) {
  let found = layer;
  while (isFull(rows, found)) found--;
  count(rows, found, 1);
  return found;
}

// -- bends ----------------------------------------------------------------------------------------

// The network that is arranged: boxes, then bends; layers of them; links from layer to layer.
function bendEdges(boxes, edges, layers) {
  const net = {layers, x: boxes.map(() => 0), width: boxes.map((box) => box.width),
               links: [], boxes: boxes.length};
  const trunks = new Map();  // of each result: its bends, layer after layer
  let room = BENDS_PER_NODE * boxes.length + 200;
  for (const edge of edges) edge.span = boxes[edge.to].layer - boxes[edge.from].layer;
  for (const edge of [...edges].sort((a, b) => a.span - b.span)) {
    const value = boxes[edge.from].node.results[edge.result];
    if (!trunks.has(value)) trunks.set(value, []);
    edge.trunk = trunks.get(value);
    const missing = edge.span - 1 - edge.trunk.length;
    edge.distant = missing > 0 && missing > room;
    if (!edge.distant) room -= Math.max(0, missing);
    linkEdge(net, boxes[edge.from].layer, edge);
  }
  return net;
}

// Lengthen the trunk of an edge as far as it needs, and link the edge's reader to its end.
function linkEdge(net, layer, edge) {
  if (edge.distant) {
    net.links.push([edge.from, edge.to, 0.05]);
    return;
  }
  const {trunk} = edge;
  while (trunk.length < edge.span - 1) {
    const bend = net.x.length;
    net.x.push(0);
    net.width.push(4);
    net.layers[layer + 1 + trunk.length].push(bend);
    if (trunk.length) net.links.push([trunk[trunk.length - 1], bend, 8]);  // to be straight
    else net.links.push([edge.from, bend, 2]);
    trunk.push(bend);
  }
  if (edge.span > 1) net.links.push([trunk[edge.span - 2], edge.to, 2]);
  else net.links.push([edge.from, edge.to, 1]);
}

// -- coordinates ----------------------------------------------------------------------------------

function placed(boxes, edges, net) {
  let left = Infinity;
  let right = -Infinity;
  for (let i = 0; i < net.x.length; i++) {
    left = Math.min(left, net.x[i] - net.width[i] / 2);
    right = Math.max(right, net.x[i] + net.width[i] / 2);
  }
  const tops = layerTops(boxes, edges, net);
  boxes.forEach((box, i) => {
    const {top, height} = tops[box.layer];
    box.x = net.x[i] - net.width[i] / 2 - left;
    box.y = top + (height - box.height) / 2;
  });
  const last = tops[tops.length - 1];
  return {width: boxes.length ? right - left : 0, height: last ? last.top + last.height : 0,
          boxes, edges: edges.map((edge) => routed(edge, boxes, net, tops, left))};
}

// Layers with edges that go far to the side get more room above, so that no edge lies flat.
function layerTops(boxes, edges, net) {
  const reach = new Float64Array(net.layers.length);
  const layerOf = new Int32Array(net.x.length);
  net.layers.forEach((layer, number) => layer.forEach((i) => { layerOf[i] = number; }));
  for (const [from, to, weight] of net.links) {
    const far = Math.min(Math.abs(net.x[from] - net.x[to]), 2500);
    if (weight >= 1) reach[layerOf[to]] = Math.max(reach[layerOf[to]], far);
  }
  let top = 0;
  return net.layers.map((layer, number) => {
    if (number) top += GAP_Y + reach[number] * 0.03;
    let height = BOX.height;
    for (const i of layer) if (i < net.boxes) height = Math.max(height, boxes[i].height);
    const found = {top, height};
    top += height;
    return found;
  });
}

// The corners an edge goes through: curves from even to odd ones, straight lines between. What it
// shares with a longer edge, that one draws: its own part begins at point `own`.
function routed(edge, boxes, net, tops, left) {
  const from = boxes[edge.from];
  const to = boxes[edge.to];
  const bends = edge.distant ? [] : edge.trunk.slice(0, edge.span - 1);
  const points = [from.x + from.width * share(edge.result, from.node.types.length),
                  from.y + from.height];
  bends.forEach((bend, i) => {
    const {top, height} = tops[from.layer + 1 + i];
    const x = net.x[bend] - left;
    points.push(x, top, x, top + height);
  });
  points.push(to.x + to.width * share(edge.slot, to.node.operands.length), to.y);
  const isLongest = bends.length === edge.trunk.length && edge.trunk.drawn === undefined;
  if (isLongest) edge.trunk.drawn = true;
  return {from: from.node, to: to.node, distant: edge.distant, points,
          own: isLongest ? 0 : points.length - 4};
}

// Where the k-th of n ends of edges lies along a side.
function share(k, n) {
  return (k + 1) / (n + 1);
}
