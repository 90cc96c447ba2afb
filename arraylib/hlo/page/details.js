// What is said about a node: in the tip at the pointer, and at length below the listing.

// An element with attributes and contents: strings become text, never markup.
function element(tag, attributes = {}, ...contents) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...contents);
  return made;
}

function lineOf(app, node) {
  if (node.family === "input") return `${node.name}: ${node.types[0]}  (input)`;
  return app.model.lines[node.line].trim();
}

// Names and types of the values, as far as there is room.
function typed(values, most = 8) {
  const shown = values.slice(0, most).map((value) => `${value.name}: ${value.type}`);
  if (values.length > most) shown.push(`and ${values.length - most} more`);
  return shown.join(", ");
}

function sized(count, unit, base = 1000) {
  if (count < base) return `${count} ${unit}`;
  const power = Math.min(4, Math.floor(Math.log(count) / Math.log(base)));
  const prefix = " kMGT"[power] + (base === 1024 ? "i" : "");
  return `${(count / base ** power).toPrecision(3)} ${prefix}${unit}`;
}

// Rows of [what, text] that say all there is to say but for the line itself.
function factsOf(app, node) {
  const facts = [];
  if (node.operands.length) facts.push(["operands", typed(node.operands)]);
  if (node.results.length) facts.push(["results", typed(node.results)]);
  if (node.outputs.length) facts.push(["returned", node.outputs.map((n) => `#${n}`).join(" ")]);
  if (node.place) facts.push(["source", `${node.place} in ${node.function}`]);
  if (node.text) facts.push(["", node.text]);
  if (node.group >= 0) facts.push(["group", app.model.groups[node.group].name]);
  if (node.flops) facts.push(["work", workOf(node)]);
  if (node.bytes) facts.push(["moves", sized(node.bytes, "B", 1024)]);
  return facts;
}

// Elementary operations, of a node or of the whole graph.
function workOf(costs) {
  return `${costs.atLeast ? "at least " : ""}${sized(costs.flops, "flop")}`;
}

// -- the tip --------------------------------------------------------------------------------------

function showTip(app, box, event) {
  const {tip} = app;
  tip.hidden = !box;
  if (!box) return;
  if (tip.dataset.node !== String(box.node.id)) {
    tip.dataset.node = box.node.id;
    tip.replaceChildren(element("code", {}, lineOf(app, box.node)),
                        factList(factsOf(app, box.node)));
  }
  const {x, y} = pointIn(app, event);
  const right = app.canvas.clientWidth - tip.offsetWidth - 8;
  const below = y + 18 + tip.offsetHeight < app.canvas.clientHeight;
  tip.style.left = `${Math.max(8, Math.min(x + 14, right))}px`;
  tip.style.top = `${below ? y + 18 : Math.max(8, y - tip.offsetHeight - 12)}px`;
}

function factList(facts) {
  const list = element("dl");
  for (const [what, text] of facts) {
    list.append(element("dt", {}, what), element("dd", what ? {} : {class: "code"}, text));
  }
  return list;
}

// -- the panel ------------------------------------------------------------------------------------

const MOST_CHIPS = 24;

// `choose` gets the node of a chip that was pressed, `find` a text to look for.
function showDetails(app, node, {choose, find}) {
  const panel = document.getElementById("details");
  panel.hidden = !node;
  if (!node) return;
  panel.replaceChildren(
    element("h2", {}, element("span", {class: "swatch", "data-family": node.family}),
            node.family === "input" ? `input ${node.name}` : `${node.name} = ${node.op}`),
    element("p", {}, node.doc), element("code", {}, lineOf(app, node)),
    factList(factsOf(app, node)), chips("reads", node.operands.map((v) => v.node), choose),
    chips("read by", node.readers, choose), searches(app, node, find));
}

function chips(title, nodes, choose) {
  const row = element("p", {class: "chips"}, title, " ");
  const different = [...new Set(nodes)];
  for (const node of different.slice(0, MOST_CHIPS)) {
    const chip = element("button", {}, node.name || node.op);
    chip.addEventListener("click", () => choose(node));
    row.append(chip);
  }
  if (!different.length) row.append("nothing");
  if (different.length > MOST_CHIPS) row.append(` and ${different.length - MOST_CHIPS} more`);
  return row;
}

// Buttons that find what has the same line of source, or the same group.
function searches(app, node, find) {
  const row = element("p", {class: "chips"});
  const texts = [["all of this line", node.place], ["all of this group", node.group >= 0
    ? app.model.groups[node.group].name : ""], ["all of this operation", node.op]];
  for (const [title, text] of texts) {
    if (!text) continue;
    const button = element("button", {}, title);
    button.addEventListener("click", () => find(`"${text}"`));
    row.append(button);
  }
  return row;
}

// -- finding --------------------------------------------------------------------------------------

// All that a node can be found by, once it is asked for. Separators keep "quoted" texts whole.
function haystack(app, node) {
  if (node.haystack === undefined) {
    const group = node.group >= 0 ? app.model.groups[node.group].name : "";
    const parts = [...node.results.map((value) => value.name), node.op, node.family, node.place,
                   node.function, node.text, group, ...node.types, lineOf(app, node)];
    node.haystack = `|${parts.join("|").toLowerCase()}|`;
  }
  return node.haystack;
}

// The nodes that have all words of the query, those that bear it as a name first.
// Words in quotes must be a whole name, operation, place or group.
function findNodes(app, query) {
  const words = (query.toLowerCase().match(/"[^"]*"|\S+/g) || [])
    .map((word) => word.length > 1 && word.startsWith('"') ? `|${word.slice(1, -1)}|` : word);
  const found = app.model.nodes.filter(
    (node) => words.every((word) => haystack(app, node).includes(word)));
  const isNamed = (node) => node.results.some((value) => value.name === query.trim());
  return [...found.filter(isNamed), ...found.filter((node) => !isNamed(node))];
}
