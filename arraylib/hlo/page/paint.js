// Drawing the scene on the canvas. Only what is in sight is drawn, and less of it from far away.

const TEXT_FROM = 0.42;  // scale from which letters can be read
const TYPE_FROM = 0.6;
const CURVES_FROM = 0.16;
const STUB = 26;  // of the longest edges only the ends are drawn unless asked for

// The colours that the style sheet names, which differ between light and dark.
function readColours(model) {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  const colours = {text: named("text"), quiet: named("quiet"), edge: named("edge"),
                   back: named("back"), found: named("found"), reads: named("reads"),
                   readers: named("readers"), chosen: named("chosen"), plain: named("plain"),
                   inside: named("inside"),
                   plainLine: named("edge"), fill: {}, line: {}};
  for (const family of model.families) {
    colours.fill[family] = named(`${family}-fill`);
    colours.line[family] = named(`${family}-line`);
  }
  const [fill, line] = [named("group-fill"), named("group-line")];
  colours.groupFill = (group) => `hsl(${hueOf(group)} ${fill})`;
  colours.groupLine = (group) => `hsl(${hueOf(group)} ${line})`;
  return colours;
}

// Neighbouring numbers get hues far apart.
function hueOf(group) {
  return Math.round(group * 137.508) % 360;
}

function paint(app) {
  const {canvas, view, scene} = app;
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = app.colours.back;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const scale = view.scale * ratio;
  context.setTransform(scale, 0, 0, scale, view.x * ratio, view.y * ratio);
  const area = visibleArea(app);
  const boxes = scene.boxes.filter((box) => meets(box, area));
  const edges = app.isMoving ? [] : scene.edges.filter((edge) => meets(edge, area));
  for (let depth = 0; depth <= scene.depth; depth++) {
    const own = edges.filter((edge) => edge.depth === depth);
    paintEdges(context, app, own);
    if (app.shown) paintChosenEdges(context, app, own);
    for (const box of boxes) if (box.depth === depth) paintBox(context, app, box);
  }
  paintLabels(context, app, area);
  paintRings(context, app, area);
}

function visibleArea({view, canvas}) {
  return {left: -view.x / view.scale, top: -view.y / view.scale,
          right: (canvas.clientWidth - view.x) / view.scale,
          bottom: (canvas.clientHeight - view.y) / view.scale};
}

// -- edges ----------------------------------------------------------------------------------------

function paintEdges(context, app, edges) {
  const {scale} = app.view;
  context.strokeStyle = app.colours.edge;
  context.lineWidth = Math.max(1, 0.5 / scale);
  const strength = scale < CURVES_FROM ? Math.max(0.15, 3 * scale) : 0.85;
  context.globalAlpha = app.shown || app.matches ? 0.4 * strength : strength;
  stroke(context, edges.filter((edge) => !edge.distant), scale < CURVES_FROM ? straight : curved);
  const distant = edges.filter((edge) => edge.distant);
  context.globalAlpha *= 0.6;
  if (app.distant) stroke(context, distant, scale < CURVES_FROM ? straight : curved);
  else if (scale >= CURVES_FROM) paintStubs(context, app, distant);
  context.globalAlpha = 1;
}

// Many short paths are much faster than one long one.
function stroke(context, edges, trace) {
  for (let i = 0; i < edges.length; i += 64) {
    context.beginPath();
    for (const edge of edges.slice(i, i + 64)) trace(context, edge.points, edge.own);
    context.stroke();
  }
}

function whole(context, points) {
  curved(context, points, 0);
}

function curved(context, points, own) {
  context.moveTo(points[own], points[own + 1]);
  for (let k = own + 2; k < points.length; k += 4) {
    const middle = (points[k - 1] + points[k + 1]) / 2;
    context.bezierCurveTo(points[k - 2], middle, points[k], middle, points[k], points[k + 1]);
    if (k + 3 < points.length) context.lineTo(points[k + 2], points[k + 3]);
  }
}

function straight(context, points, own) {
  context.moveTo(points[own], points[own + 1]);
  for (let k = own + 2; k < points.length; k += 2) context.lineTo(points[k], points[k + 1]);
}

// Dotted ends of an edge; above the reader, the name of what it reads.
function paintStubs(context, app, edges) {
  context.setLineDash([2, 3]);
  stroke(context, edges, (path, points) => {
    const end = points.length - 2;
    path.moveTo(points[0], points[1]);
    path.lineTo(points[0], points[1] + STUB / 2);
    path.moveTo(points[end], points[end + 1] - STUB / 2);
    path.lineTo(points[end], points[end + 1]);
  });
  context.setLineDash([]);
  if (app.view.scale < TYPE_FROM) return;
  context.fillStyle = app.colours.quiet;
  context.font = `9px ${FONT}`;
  context.textAlign = "center";
  for (const {from, points} of edges) {
    const end = points.length - 2;
    context.fillText(from.name, points[end], points[end + 1] - STUB / 2 - 4);
  }
  context.textAlign = "left";
}

// -- boxes ----------------------------------------------------------------------------------------

const FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

function fillAndLine(app, node) {
  const {colours} = app;
  if (app.colouring === "family") return [colours.fill[node.family], colours.line[node.family]];
  const isGrouped = node.group >= 0 && app.model.groups[node.group].size > 1;
  return isGrouped ? [colours.groupFill(node.group), colours.groupLine(node.group)]
                   : [colours.plain, colours.plainLine];
}

// Whether a node is neither found nor next to the chosen one, while others are.
function isDimmed(app, node) {
  if (app.matches) return !app.matches.shown.has(node);
  const {shown} = app;
  return shown && node !== shown.node && !shown.reads.has(node) && !shown.readers.has(node);
}

function paintBox(context, app, box) {
  const {scale} = app.view;
  const [fill, line] = box.isOpen ? [app.colours.inside, app.colours.line[box.node.family]]
                                  : fillAndLine(app, box.node);
  context.globalAlpha = isDimmed(app, box.node) && !box.isOpen ? 0.42 : 1;
  if (scale < CURVES_FROM && !box.isOpen) {
    const least = 1.5 / scale;
    context.fillStyle = line;
    context.fillRect(box.left, box.top, Math.max(least, box.right - box.left),
                     Math.max(least, box.bottom - box.top));
  } else {
    outline(context, box);
    context.fillStyle = fill;
    context.fill();
    context.strokeStyle = line;
    context.lineWidth = box.node.outputs.length ? 2.5 : 1;
    context.stroke();
    if (app.colouring === "family") paintStripe(context, app, box);
    if (scale >= TEXT_FROM) paintText(context, app, box);
  }
  context.globalAlpha = 1;
}

function outline(context, box) {
  const radius = box.node.family === "input" ? 12 : box.isOpen ? 8 : 5;
  context.beginPath();
  context.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, radius);
}

// The colour of its group, at the left side of a box.
function paintStripe(context, app, {node, left, top, bottom}) {
  if (node.group < 0 || app.model.groups[node.group].size < 2) return;
  context.fillStyle = app.colours.groupLine(node.group);
  context.fillRect(left, top + 5, 3, bottom - top - 10);
}

function paintText(context, app, box) {
  const {node} = box;
  const room = Math.floor((box.right - box.left - 2 * BOX.pad) / BOX.letter + 0.5);
  const x = box.left + BOX.pad;
  const name = node.family === "input" ? node.name : node.op;
  const mark = node.scopes.length ? (box.isOpen ? "▾ " : "▸ ") : "";
  context.fillStyle = app.colours.text;
  context.font = `bold 11px ${FONT}`;
  context.fillText(clipped(mark + name, room), x, box.top + 15);
  const rest = titleOf(node).slice(name.length);
  context.font = `11px ${FONT}`;
  context.fillStyle = app.colours.quiet;
  const used = mark.length + name.length;
  if (rest && room > used + 1) {
    context.fillText(clipped(rest, room - used), x + used * BOX.letter, box.top + 15);
  }
  if (app.view.scale >= TYPE_FROM && !box.isOpen) {
    context.fillText(clipped(resultsOf(node), room), x, box.top + 29);
  }
}

function clipped(text, room) {
  return text.length <= room ? text : text.slice(0, Math.max(0, room - 1)) + "…";
}

function paintLabels(context, app, area) {
  if (app.view.scale < TEXT_FROM) return;
  context.font = `italic 11px ${FONT}`;
  context.fillStyle = app.colours.quiet;
  for (const region of app.scene.regions) {
    if (region.top > area.top - 20 && region.top < area.bottom + 20) {
      context.fillText(region.label, region.left, region.top + 4);
    }
  }
}

// -- what stands out ------------------------------------------------------------------------------

function paintChosenEdges(context, app, edges) {
  const {node} = app.shown;
  context.lineWidth = Math.max(1.5, 1.5 / app.view.scale);
  context.strokeStyle = app.colours.reads;
  stroke(context, edges.filter((edge) => edge.to === node), whole);
  context.strokeStyle = app.colours.readers;
  stroke(context, edges.filter((edge) => edge.from === node), whole);
}

function paintRings(context, app, area) {
  const {scene, colours, shown} = app;
  const width = Math.max(2, 2 / app.view.scale);
  for (const box of app.matches ? app.matches.boxes : []) {
    if (meets(box, area)) ring(context, box, colours.found, width);
  }
  if (!shown) return;
  for (const other of shown.reads) ring(context, scene.boxAt.get(other), colours.reads, width);
  for (const other of shown.readers) ring(context, scene.boxAt.get(other), colours.readers, width);
  ring(context, scene.boxAt.get(shown.node), colours.chosen, 1.5 * width);
}

function ring(context, box, colour, width) {
  outline(context, box);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}
