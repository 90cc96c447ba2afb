// The facts in the page, as objects that refer to one another.
//
// node:  {id, op, family, doc, name, types, line, where, group, operands: [value], scopes, scope,
//         readers: [node], quiet, detail, bytes, flops}
// value: {name, node, index (among the node's results), type}
// scope: {id, owner (node or null), label, inputs: [node], nodes: [node], outputs: [value]}

function readModel(facts) {
  const values = facts.names.map((name) => ({name, node: null, index: 0, type: ""}));
  const nodes = facts.nodes.map((entry, id) => readNode(facts, values, entry, id));
  for (const node of nodes) node.operands = node.operands.map((number) => values[number]);
  const scopes = facts.scopes.map((scope, id) => readScope(scope, id, nodes, values));
  for (const node of nodes) {
    node.scopes = node.scopes.map((number) => scopes[number]);
    node.readers = [];
  }
  for (const node of nodes) {
    for (const from of new Set(node.operands.map((value) => value.node))) from.readers.push(node);
  }
  return {nodes, scopes, values, lines: facts.lines,
          lineNodes: facts.lineNodes, groups: readGroups(facts, nodes),
          families: facts.families, total: facts.total, root: scopes[0]};
}

function readNode(facts, values, entry, id) {
  const [op, family, doc] = facts.kinds[entry.kind];
  const [place, where, text] = facts.sources[entry.source];
  const types = entry.types.map((number) => facts.types[number]);
  const node = {id, op, family, doc, types, line: entry.line, place, function: where, text,
                operands: entry.operands, scopes: entry.scopes || [], scope: null, readers: [],
                quiet: entry.quiet || "", detail: entry.detail || "", outputs: [],
                group: entry.group === undefined ? -1 : entry.group, results: [],
                bytes: entry.bytes, flops: entry.flops, atLeast: entry.atLeast};
  types.forEach((type, index) => {
    const value = Object.assign(values[entry.first + index], {node, index, type});
    node.results.push(value);
  });
  node.name = node.results.map((value) => value.name).join(", ");
  return node;
}

function readScope(entry, id, nodes, values) {
  const scope = {id, label: entry.label, owner: entry.owner < 0 ? null : nodes[entry.owner],
                 inputs: entry.inputs.map((number) => nodes[number]),
                 nodes: entry.nodes.map((number) => nodes[number]),
                 outputs: entry.outputs.map((number) => values[number])};
  for (const node of scope.inputs.concat(scope.nodes)) node.scope = scope;
  scope.outputs.forEach((value, place) => value.node.outputs.push(place));
  return scope;
}

// A group of one node is not worth a colour.
function readGroups(facts, nodes) {
  const groups = facts.groups.map((name) => ({name, size: 0}));
  for (const node of nodes) if (node.group >= 0) groups[node.group].size++;
  return groups;
}

function isTucked(node, state) {
  return !state.constants && node.quiet !== "" && node.outputs.length === 0
    && node.readers.length > 0;
}

// The node itself, or what reads it where it is tucked away, or the closed box around that.
function shownAs(node, state) {
  let found = node;
  while (isTucked(found, state)) found = found.readers[0];
  for (let owner = found.scope.owner; owner; owner = owner.scope.owner) {
    if (!state.open.has(owner)) found = owner;
  }
  return found;
}

// How many nodes are in the regions of a node, all the way down.
function countInside(node) {
  if (node.inside !== undefined) return node.inside;
  const waiting = [...node.scopes];
  node.inside = 0;
  while (waiting.length) {
    const scope = waiting.pop();
    node.inside += scope.nodes.length;
    for (const inner of scope.nodes) waiting.push(...inner.scopes);
  }
  return node.inside;
}
