// Moving over the picture: view is {x, y, scale}; a point of the picture is seen at
// point * scale + offset.

const NEAREST = 3;
const STEP = 1.25;

function clampScale(app, scale) {
  return Math.min(NEAREST, Math.max(Math.min(0.2, 0.7 * wholeScale(app)), scale));
}

// The scale at which all of the picture is in sight.
function wholeScale({scene, canvas}) {
  return Math.min(canvas.clientWidth / (scene.width + 60),
                  canvas.clientHeight / (scene.height + 60));
}

// Zoom by a factor about a point of the canvas.
function zoom(app, factor, x = app.canvas.clientWidth / 2, y = app.canvas.clientHeight / 2) {
  const {view} = app;
  const scale = clampScale(app, view.scale * factor);
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  app.moved();
}

function pan(app, dx, dy) {
  app.view.x += dx;
  app.view.y += dy;
  app.moved();
}

function showAll(app) {
  lookAt(app, app.scene.width / 2, app.scene.height / 2, Math.min(1, wholeScale(app)));
}

function lookAt(app, x, y, scale = app.view.scale) {
  app.view.scale = scale;
  app.view.x = app.canvas.clientWidth / 2 - x * scale;
  app.view.y = app.canvas.clientHeight / 2 - y * scale;
  app.moved();
}

// At first: everything, if it can be read then; else the top, at a size that can be.
function showFirst(app) {
  const scale = wholeScale(app);
  if (scale >= TYPE_FROM || !app.scene.boxes.length) return showAll(app);
  const top = app.scene.boxes.filter((box) => box.depth === 0)
    .reduce((best, box) => box.top < best.top ? box : best);
  const readable = 0.8;
  lookAt(app, (top.left + top.right) / 2, app.canvas.clientHeight / 2 / readable - 40, readable);
}

// Bring a box to the middle, near enough to be read.
function centre(app, box) {
  const y = box.isOpen ? box.top + BOX.head : (box.top + box.bottom) / 2;
  lookAt(app, (box.left + box.right) / 2, y, Math.max(app.view.scale, 0.75));
}

function pointIn(app, event) {
  const bounds = app.canvas.getBoundingClientRect();
  const x = event.clientX - bounds.left;
  const y = event.clientY - bounds.top;
  return {x, y, boxX: (x - app.view.x) / app.view.scale, boxY: (y - app.view.y) / app.view.scale};
}

// -- pointers -------------------------------------------------------------------------------------

// `pick` gets the box that was clicked, or null; `hover` the box under a resting pointer.
function followPointers(app, {pick, hover}) {
  const {canvas} = app;
  const down = new Map();  // pointers that are pressed, and where they are
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (down.size === 0) moved = 0;
    down.set(event.pointerId, event);
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
    hover(null);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return hover(event.pointerType === "touch" ? null : under(app, event), event);
    moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
    if (moved > 4) drag(app, [...down.values()], before, event);
    down.set(event.pointerId, event);
  });
  const release = (event) => {
    if (down.delete(event.pointerId) && moved <= 4 && event.type === "pointerup") {
      pick(under(app, event));
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    turnWheel(app, event);
    hover(null);
  }, {passive: false});
}

function under(app, event) {
  const {boxX, boxY} = pointIn(app, event);
  return boxUnder(app.scene, boxX, boxY);
}

// One pointer moves the picture, two also stretch it.
function drag(app, pointers, before, event) {
  if (pointers.length === 1) {
    return pan(app, event.clientX - before.clientX, event.clientY - before.clientY);
  }
  const other = pointers.find((each) => each.pointerId !== event.pointerId);
  const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  const {x, y} = pointIn(app, other);
  zoom(app, distance(event) / Math.max(1, distance(before)), x, y);
}

function turnWheel(app, event) {
  const unit = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1;
  if (event.shiftKey) return pan(app, -(event.deltaX + event.deltaY) * unit, 0);
  const {x, y} = pointIn(app, event);
  const turn = Math.max(-240, Math.min(240, event.deltaY * unit));
  zoom(app, Math.exp(-turn * (event.ctrlKey ? 0.01 : 0.0022)), x, y);
}

// -- the overview ---------------------------------------------------------------------------------

// A small picture of everything; pressing on it goes there.
function followOverview(app) {
  const go = (event) => {
    if (!event.buttons) return;
    const bounds = app.overview.getBoundingClientRect();
    const scale = overviewScale(app);
    lookAt(app, (event.clientX - bounds.left - 4) / scale,
           (event.clientY - bounds.top - 4) / scale);
  };
  app.overview.addEventListener("pointerdown", go);
  app.overview.addEventListener("pointermove", go);
}

function overviewScale({scene, main}) {
  return Math.min(150 / Math.max(scene.width, 1),
                  (main.clientHeight - 150) / Math.max(scene.height, 1));
}

// Drawn once for a scene, and kept.
function drawOverview(app) {
  const {overview, scene} = app;
  const ratio = window.devicePixelRatio || 1;
  const scale = overviewScale(app);
  const size = [Math.max(30, scene.width * scale + 8), scene.height * scale + 8];
  overview.style.width = `${size[0]}px`;
  overview.style.height = `${size[1]}px`;
  [overview.width, overview.height] = size.map((n) => Math.ceil(n * ratio));
  overview.hidden = scale * BOX.height > 12;  // then the picture itself is small
  const context = overview.getContext("2d", {willReadFrequently: true});
  context.scale(ratio, ratio);
  for (const box of scene.boxes) {
    const [, line] = fillAndLine(app, box.node);
    context.fillStyle = line;
    context.globalAlpha = box.isOpen ? 0.2 : 0.9;
    context.fillRect(4 + box.left * scale, 4 + box.top * scale,
                     Math.max(1, (box.right - box.left) * scale),
                     Math.max(0.7, (box.bottom - box.top) * scale));
  }
  app.overviewImage = context.getImageData(0, 0, overview.width, overview.height);
}

// The frame of what is in sight, over the kept picture.
function drawFrame(app) {
  if (app.overview.hidden) return;
  const context = app.overview.getContext("2d");
  context.putImageData(app.overviewImage, 0, 0);
  const scale = overviewScale(app);
  const area = visibleArea(app);
  context.globalAlpha = 1;
  context.strokeStyle = app.colours.chosen;
  context.lineWidth = 1.5;
  const {clientWidth, clientHeight} = app.overview;
  const [left, top] = [Math.max(2, 4 + area.left * scale), Math.max(2, 4 + area.top * scale)];
  context.strokeRect(left, top, Math.min(clientWidth - 2, 4 + area.right * scale) - left,
                     Math.min(clientHeight - 2, 4 + area.bottom * scale) - top);
}
