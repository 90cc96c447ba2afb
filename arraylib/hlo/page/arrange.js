// Where the members of each layer stand: sweeps over a network of boxes and bends.
//
// net: {layers: [[member]], links: [[upper, lower, weight]], x, width (by member), boxes (how many
// of the members, the first, are boxes; the others are bends of edges)}

const BEND_WEIGHT = 60;  // against 2 to 6 of most boxes

// Give every member of the network its x, the middle of it.
function arrange(net) {
  const up = neighbours(net, 1, 0);
  const down = neighbours(net, 0, 1);
  net.weight = Float64Array.from(net.x, (_, i) => i < net.boxes ? 1 : BEND_WEIGHT);
  for (const [from, to, weight] of net.links) {
    net.weight[from] += weight;
    net.weight[to] += weight;
  }
  net.layers.forEach((layer) => spread(net, layer));
  const sweeps = net.x.length > 40000 ? 6 : net.x.length > 5000 ? 12 : 24;
  findOrder(net, up, down, sweeps);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (const layer of inTurn(net, sweep)) straighten(net, layer, [up, down]);
  }
}

// The layers downwards and upwards by turns.
function inTurn(net, sweep) {
  return sweep % 2 ? [...net.layers].reverse() : net.layers;
}

// Sort the layers again and again, and keep the order with the fewest crossings that came up.
function findOrder(net, up, down, sweeps) {
  let best = null;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const [ahead, behind] = sweep % 2 ? [down, up] : [up, down];
    for (const layer of inTurn(net, sweep)) sortByMeans(net, layer, ahead, behind);
    const crossings = countCrossings(net, down);
    if (best && best.crossings <= crossings) continue;
    best = {crossings, layers: net.layers.map((layer) => layer.slice()), x: net.x.slice()};
  }
  Object.assign(net, {layers: best.layers, x: best.x});
}

// How many pairs of links between neighbouring layers cross: inversions, counted with a tree of
// partial sums over the places of the lower layer.
function countCrossings(net, down) {
  const place = new Int32Array(net.x.length);
  const layerOf = new Int32Array(net.x.length);
  net.layers.forEach((layer, number) => layer.forEach((i, at) => {
    place[i] = at;
    layerOf[i] = number;
  }));
  let crossings = 0;
  net.layers.slice(1).forEach((lower, number) => {
    const sums = new Int32Array(lower.length + 1);
    let seen = 0;
    for (const i of net.layers[number]) {
      const ends = [];
      for (let k = down.start[i]; k < down.start[i + 1]; k++) {
        if (layerOf[down.others[k]] === number + 1) ends.push(place[down.others[k]] + 1);
      }
      for (const end of ends) crossings += seen - sumTo(sums, end);
      for (const end of ends) addAt(sums, end);
      seen += ends.length;
    }
  });
  return crossings;
}

function sumTo(sums, place) {
  let sum = 0;
  for (let k = place; k > 0; k -= k & -k) sum += sums[k];
  return sum;
}

function addAt(sums, place) {
  for (let k = place; k < sums.length; k += k & -k) sums[k]++;
}

// For each member, its neighbours on one side: others[start[i]] to others[start[i + 1]].
function neighbours(net, own, other) {
  const start = new Int32Array(net.x.length + 1);
  for (const link of net.links) start[link[own] + 1]++;
  for (let i = 0; i < net.x.length; i++) start[i + 1] += start[i];
  const next = start.slice();
  const others = new Int32Array(net.links.length);
  const weights = new Float64Array(net.links.length);
  for (const link of net.links) {
    const at = next[link[own]]++;
    others[at] = link[other];
    weights[at] = link[2];
  }
  return {start, others, weights};
}

// A layer from left to right about 0.
function spread(net, layer) {
  let total = 0;
  for (const i of layer) total += net.width[i] + GAP_X;
  let x = -total / 2;
  for (const i of layer) {
    net.x[i] = x + net.width[i] / 2;
    x += net.width[i] + GAP_X;
  }
}

// Sort a layer by where the neighbours of each member are, on the side ahead if there are any.
function sortByMeans(net, layer, ahead, behind) {
  const wanted = new Map();
  for (const i of layer) {
    wanted.set(i, meanPlace(net, i, ahead) ?? meanPlace(net, i, behind) ?? net.x[i]);
  }
  layer.sort((a, b) => wanted.get(a) - wanted.get(b));
  centreBends(net, layer, wanted);
  fit(net, layer, wanted);
}

// Of members that want one place, bends come in the middle: a trunk with its readers on both sides.
function centreBends(net, layer, wanted) {
  for (let first = 0, end = 0; first < layer.length; first = end) {
    while (end < layer.length && wanted.get(layer[end]) === wanted.get(layer[first])) end++;
    if (end - first < 3) continue;
    const run = layer.slice(first, end);
    const boxes = run.filter((i) => i < net.boxes);
    const bends = run.filter((i) => i >= net.boxes);
    const half = boxes.length >> 1;
    layer.splice(first, run.length, ...boxes.slice(0, half), ...bends, ...boxes.slice(half));
  }
}

// Move each member to the weighted median of all its neighbours: unlike the mean, that leaves most
// edges vertical and lets few lean. Nobody changes places any more.
function straighten(net, layer, sides) {
  const wanted = new Map();
  for (const i of layer) wanted.set(i, medianPlace(net, i, sides));
  fit(net, layer, wanted);
}

function meanPlace(net, i, {start, others, weights}) {
  let sum = 0;
  let total = 0;
  for (let k = start[i]; k < start[i + 1]; k++) {
    sum += net.x[others[k]] * weights[k];
    total += weights[k];
  }
  return total ? sum / total : null;
}

// Where there is more than one median: the nearest.
function medianPlace(net, i, sides) {
  const places = [];
  let total = 0;
  for (const {start, others, weights} of sides) {
    for (let k = start[i]; k < start[i + 1]; k++) {
      places.push([net.x[others[k]], weights[k]]);
      total += weights[k];
    }
  }
  places.sort((a, b) => a[0] - b[0]);
  let below = 0;
  for (let k = 0; k < places.length; k++) {
    below += places[k][1];
    if (below * 2 > total) return places[k][0];
    if (below * 2 === total) {
      return Math.min(Math.max(net.x[i], places[k][0]), places[k + 1][0]);
    }
  }
  return net.x[i];
}

// The least squares way to put members near their wanted places, in order and without overlap:
// neighbours that would overlap become one block, at the mean of what its members want. Members with
// many links, and bends, count for more: the others make way for them.
function fit(net, layer, wanted) {
  const blocks = [];
  let offset = 0;
  let before = 0;
  for (const i of layer) {
    offset += before ? (before + net.width[i]) / 2 + GAP_X : 0;
    before = net.width[i];
    const weight = net.weight[i];
    let block = {sum: (wanted.get(i) - offset) * weight, weight, members: [[i, offset]]};
    while (blocks.length && at(blocks[blocks.length - 1]) > at(block)) {
      block = joined(blocks.pop(), block);
    }
    blocks.push(block);
  }
  for (const block of blocks) {
    for (const [i, from] of block.members) net.x[i] = at(block) + from;
  }
}

const at = (block) => block.sum / block.weight;

function joined(left, right) {
  const [long, short] = left.members.length < right.members.length ? [right, left] : [left, right];
  for (const member of short.members) long.members.push(member);
  return {sum: left.sum + right.sum, weight: left.weight + right.weight, members: long.members};
}
