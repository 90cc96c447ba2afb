// The page: its state, what changes it, and what the user does.

function main() {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const model = readModel(facts);
  const app = {model, canvas: document.getElementById("picture"), view: {x: 0, y: 0, scale: 1},
               main: document.querySelector("main"), tip: document.getElementById("tip"),
               overview: document.getElementById("overview"), colouring: "family",
               state: {open: new Set(), constants: false, layouts: new Map()}, distant: false,
               cost: 0, isMoving: false, rest: 0,
               scene: null, chosen: null, shown: null, matches: null, at: -1};
  app.colours = readColours(model);
  app.redraw = onNextFrame(() => draw(app));
  app.moved = () => whileMoving(app);
  applyAddress(app);
  const layout = timed(() => relayout(app));
  wire(app);
  sizeCanvas(app);
  showFirst(app);
  applyRequests(app);
  const first = timed(() => draw(app));
  showSummary(app);
  say("ready", {nodes: model.nodes.length, boxes: app.scene.boxes.length,
                edges: app.scene.edges.length, regions: app.scene.regions.length,
                layout, draw: first});
}

// What a test, or a person with the developer's tools, may want to know.
function say(what, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  document.documentElement.dataset[what] = text;
}

function timed(work) {
  const start = performance.now();
  work();
  return Math.round(10 * (performance.now() - start)) / 10;
}

// However often it is asked for, once a frame.
function onNextFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  };
}

function draw(app) {
  const cost = timed(() => paint(app));
  if (!app.isMoving) app.cost = cost;
  drawFrame(app);
}

const SLOW = 40;  // milliseconds to draw everything, from which edges wait until all is at rest

function whileMoving(app) {
  app.isMoving = app.cost > SLOW;
  app.redraw();
  clearTimeout(app.rest);
  app.rest = setTimeout(() => {
    if (app.isMoving) app.redraw();
    app.isMoving = false;
  }, 150);
}

function sizeCanvas(app) {
  const ratio = window.devicePixelRatio || 1;
  const {clientWidth, clientHeight} = app.canvas;
  app.canvas.width = Math.round(clientWidth * ratio);
  app.canvas.height = Math.round(clientHeight * ratio);
  app.size = [clientWidth, clientHeight];
  drawOverview(app);
}

// What is in the middle of the picture stays there.
function resize(app) {
  const [width, height] = app.size;
  sizeCanvas(app);
  app.view.x += (app.size[0] - width) / 2;
  app.view.y += (app.size[1] - height) / 2;
  draw(app);
}

function showSummary({model}) {
  const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
  const operations = model.nodes.filter((node) => node.family !== "input").length;
  const groups = model.groups.filter((group) => group.size > 1).length;
  const parts = [count(operations, "operation"), count(model.root.inputs.length, "input"),
                 count(model.root.outputs.length, "output")];
  if (groups) parts.push(count(groups, "group"));
  const {total} = model;
  const costs = [workOf(total), `${sized(total.bytes, "B", 1024)} moved`,
                 `${sized(total.peak, "B", 1024)} at the peak`];
  document.getElementById("summary").append(parts.join(", "), element("br"), costs.join(", "));
}

// -- layout ---------------------------------------------------------------------------------------

// Lay out again; the box of `anchor` stays where it is on the screen.
function relayout(app, anchor = null) {
  const before = anchor && app.scene.boxAt.get(anchor);
  app.scene = sceneOf(app.model.root, app.state);
  const after = anchor && app.scene.boxAt.get(anchor);
  if (before && after) {
    app.view.x += (before.left - after.left) * app.view.scale;
    app.view.y += (before.top - after.top) * app.view.scale;
  }
  showChosen(app);
  if (app.matches) app.matches = matchesOf(app, app.matches.nodes);
  drawOverview(app);
  say("open", String(app.state.open.size));
  app.redraw();
}

// Scopes around a change have to be laid out again, others not.
function forget(app, node) {
  for (let scope = node.scope; scope; scope = scope.owner && scope.owner.scope) {
    app.state.layouts.delete(scope);
  }
}

function setOpen(app, node, isOpen) {
  if (isOpen) app.state.open.add(node);
  else app.state.open.delete(node);
  forget(app, node);
}

function toggle(app, node) {
  setOpen(app, node, !app.state.open.has(node));
  relayout(app, node);
}

function setAllOpen(app, isOpen) {
  for (const node of app.model.nodes) if (node.scopes.length) setOpen(app, node, isOpen);
  relayout(app);
  showFirst(app);
}

function setConstants(app, isShown) {
  app.state.constants = isShown;
  app.state.layouts.clear();
  relayout(app, app.chosen && shownAs(app.chosen, app.state));
}

// -- choosing and finding -------------------------------------------------------------------------

function showChosen(app) {
  app.shown = app.chosen && highlightOf(shownAs(app.chosen, app.state), app.scene);
}

// Make a node, or none, the chosen one. With `goes` the picture moves to it, and opens around it.
function choose(app, node, goes = false) {
  app.chosen = node;
  if (node && goes) reveal(app, node);
  showChosen(app);
  if (node && goes) centre(app, app.scene.boxAt.get(app.shown.node));
  showDetails(app, node, {choose: (other) => choose(app, other, true),
                          find: (text) => setQuery(app, text)});
  if (node) revealRow(app, app.listing, node.line);
  document.getElementById("said").textContent = node
    ? `${lineOf(app, node)}. Read by ${node.readers.length}.` : "";
  say("chosen", node ? node.name : "");
  const name = node && node.results.length ? node.results[0].name : "";
  history.replaceState(null, "", name ? `#select=${name}` : "#");
  app.redraw();
}

function reveal(app, node) {
  let isChanged = false;
  for (let owner = node.scope.owner; owner; owner = owner.scope.owner) {
    isChanged ||= !app.state.open.has(owner);
    setOpen(app, owner, true);
  }
  if (isChanged) relayout(app);
}

function matchesOf(app, nodes) {
  const shown = new Set(nodes.map((node) => shownAs(node, app.state)));
  return {nodes, shown, boxes: [...shown].map((node) => app.scene.boxAt.get(node))};
}

function setQuery(app, query) {
  document.getElementById("find").value = query;
  const nodes = query.trim() ? findNodes(app, query) : null;
  app.matches = nodes && matchesOf(app, nodes);
  app.at = -1;
  filterRows(app, app.listing, nodes && new Set(nodes));
  document.getElementById("matches").textContent = nodes ? `${nodes.length} found` : "";
  say("matches", nodes ? String(nodes.length) : "");
  app.redraw();
}

function goToMatch(app, step) {
  if (!app.matches || !app.matches.nodes.length) return;
  const {nodes} = app.matches;
  app.at = (Math.max(app.at, step < 0 ? 0 : -1) + step + nodes.length) % nodes.length;
  document.getElementById("matches").textContent = `${app.at + 1} of ${nodes.length}`;
  choose(app, nodes[app.at], true);
}

// -- the keyboard ---------------------------------------------------------------------------------

const PAN = 80;

function onPictureKey(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = {ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [1, 0], ArrowRight: [-1, 0]};
  const key = arrow[event.key] ? "arrow" : event.key.toLowerCase();
  const actions = {
    arrow: () => event.shiftKey ? pan(app, ...arrow[event.key].map((n) => n * PAN))
                                : walk(app, event.key),
    "+": () => zoom(app, STEP), "=": () => zoom(app, STEP), "-": () => zoom(app, 1 / STEP),
    f: () => showAll(app), e: () => setAllOpen(app, true), c: () => setAllOpen(app, false),
    enter: () => enter(app), " ": () => enter(app), escape: () => clear(app),
  };
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
}

function enter(app) {
  const node = app.shown && app.shown.node;
  if (node && node.scopes.length) toggle(app, node);
}

function clear(app) {
  choose(app, null);
  setQuery(app, "");
}

// From the chosen node to what it reads, what reads it, or the next to the side.
function walk(app, key) {
  const from = app.shown ? app.shown.node : null;
  const next = from ? besides(app, from, key) : nearestBox(app);
  if (next) choose(app, next, true);
}

function besides(app, node, key) {
  if (key === "ArrowUp") return app.shown.reads.values().next().value;
  if (key === "ArrowDown") return app.shown.readers.values().next().value;
  const own = app.scene.boxAt.get(node);
  const side = key === "ArrowLeft" ? -1 : 1;
  const isBeside = (box) => box.node.scope === node.scope && (box.left - own.left) * side > 0
    && box.top < own.bottom && box.bottom > own.top;
  const boxes = app.scene.boxes.filter(isBeside);
  boxes.sort((a, b) => (a.left - b.left) * side);
  return boxes.length ? boxes[0].node : null;
}

function nearestBox(app) {
  const area = visibleArea(app);
  const far = (box) => Math.hypot(box.left + box.right - area.left - area.right,
                                  box.top + box.bottom - area.top - area.bottom);
  const nearer = (best, box) => !best || far(box) < far(best) ? box : best;
  const found = app.scene.boxes.reduce(nearer, null);
  return found && found.node;
}

// -- wiring ---------------------------------------------------------------------------------------

function wire(app) {
  app.listing = makeListing(app, (node) => choose(app, node, true));
  filterRows(app, app.listing, null);
  followPointers(app, {
    pick: (box) => pick(app, box),
    hover: (box, event) => showTip(app, box, event),
  });
  followOverview(app);
  app.canvas.addEventListener("keydown", (event) => onPictureKey(app, event));
  wireButtons(app);
  wireFind(app);
  makeLegend(app);
  new ResizeObserver(() => resize(app)).observe(app.canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    app.colours = readColours(app.model);
    recolour(app);
  });
}

function pick(app, box) {
  choose(app, box && box.node);
  if (box && box.node.scopes.length) toggle(app, box.node);
}

function wireButtons(app) {
  const on = (id, event, work) => document.getElementById(id).addEventListener(event, work);
  on("fit", "click", () => showAll(app));
  on("nearer", "click", () => zoom(app, STEP));
  on("farther", "click", () => zoom(app, 1 / STEP));
  on("unfold", "click", () => setAllOpen(app, true));
  on("fold", "click", () => setAllOpen(app, false));
  on("constants", "change", (event) => setConstants(app, event.target.checked));
  on("distant", "change", (event) => { app.distant = event.target.checked; app.redraw(); });
  on("colours", "change", (event) => { app.colouring = event.target.value; recolour(app); });
  document.getElementById("colouring").hidden = !app.model.groups.some((group) => group.size > 1);
  document.getElementById("constants").checked = app.state.constants;
  document.getElementById("distant").checked = app.distant;
  document.getElementById("colours").value = app.colouring;
  const hasRegions = app.model.scopes.length > 1;
  for (const id of ["unfold", "fold"]) document.getElementById(id).hidden = !hasRegions;
}

function wireFind(app) {
  const field = document.getElementById("find");
  field.addEventListener("input", () => setQuery(app, field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") goToMatch(app, event.shiftKey ? -1 : 1);
    if (event.key === "Escape") { clear(app); app.canvas.focus(); }
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = ["INPUT", "SELECT"].includes(event.target.tagName);
    if (event.key !== "/" || isTyping) return;
    event.preventDefault();
    field.focus();
  });
}

function recolour(app) {
  makeLegend(app);
  drawOverview(app);
  app.redraw();
}

// The kinds that occur; pressing one finds its nodes.
function makeLegend(app) {
  const legend = document.getElementById("legend");
  if (app.colouring === "group") {
    legend.replaceChildren(element("li", {}, "one colour a group; plain: by itself"));
    return;
  }
  const counts = new Map(app.model.families.map((family) => [family, 0]));
  for (const node of app.model.nodes) counts.set(node.family, counts.get(node.family) + 1);
  const present = app.model.families.filter((family) => counts.get(family));
  legend.replaceChildren(...present.map((family) => {
    const button = element("button", {title: `find all: ${counts.get(family)}`},
                           element("span", {class: "swatch", "data-family": family}), family);
    button.addEventListener("click", () => setQuery(app, `"${family}"`));
    return element("li", {}, button);
  }));
}

// -- the page's address ---------------------------------------------------------------------------

// After the #: select=NAME, find=WORDS, open=all, constants=1, distant=1, colour=group,
// fit=1.
function address() {
  return new URLSearchParams(location.hash.slice(1));
}

function applyAddress(app) {
  const wanted = address();
  app.state.constants = wanted.has("constants");
  app.distant = wanted.has("distant");
  app.colouring = wanted.get("colour") === "group" ? "group" : "family";
  if (!wanted.has("open")) return;
  for (const node of app.model.nodes) if (node.scopes.length) app.state.open.add(node);
}

function applyRequests(app) {
  const wanted = address();
  if (wanted.has("fit")) showAll(app);
  if (wanted.has("find")) setQuery(app, wanted.get("find"));
  const value = wanted.has("select")
    && app.model.values.find((each) => each.name === wanted.get("select"));
  if (value) choose(app, value.node, true);
}

main();
