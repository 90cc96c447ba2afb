// The graph as text, next to the picture: only the lines in sight are in the document.

const ROW = 18;
const SPARE = 10;  // rows above and below those in sight

function makeListing(app, choose) {
  const frame = document.getElementById("listing");
  const listing = {frame, inside: frame.firstElementChild, lines: null, current: -1};
  frame.addEventListener("scroll", () => drawRows(app, listing));
  frame.addEventListener("click", (event) => {
    const row = event.target.closest("[data-line]");
    if (row) chooseLine(app, listing, Number(row.dataset.line), choose);
  });
  frame.addEventListener("keydown", (event) => stepRows(app, listing, event, choose));
  new ResizeObserver(() => drawRows(app, listing)).observe(frame);
  return listing;
}

function chooseLine(app, listing, line, choose) {
  const number = app.model.lineNodes[line];
  listing.current = line;
  if (number >= 0) choose(app.model.nodes[number]);
  drawRows(app, listing);
}

// Up and down go from line to line.
function stepRows(app, listing, event, choose) {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!step || !listing.lines.length) return;
  event.preventDefault();
  const place = listing.lines.indexOf(listing.current);
  const next = Math.min(listing.lines.length - 1, Math.max(0, place + step));
  chooseLine(app, listing, listing.lines[next], choose);
  revealRow(app, listing, listing.lines[next]);
}

// Show all lines, or those of the given nodes.
function filterRows(app, listing, nodes) {
  const {lines, lineNodes, nodes: all} = app.model;
  const isShown = (line) => !nodes || lineNodes[line] >= 0 && nodes.has(all[lineNodes[line]]);
  listing.lines = [...lines.keys()].filter(isShown);
  listing.inside.style.height = `${listing.lines.length * ROW}px`;
  drawRows(app, listing);
}

function revealRow(app, listing, line) {
  const {frame} = listing;
  const place = listing.lines.indexOf(line);
  listing.current = line;
  if (place >= 0) {
    const top = place * ROW;
    const isSeen = top >= frame.scrollTop && top + ROW <= frame.scrollTop + frame.clientHeight;
    if (!isSeen) frame.scrollTop = top - frame.clientHeight / 2;
  }
  drawRows(app, listing);
}

function drawRows(app, listing) {
  const {frame, inside, lines} = listing;
  if (!lines) return;
  const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - SPARE);
  const last = Math.min(lines.length,
                        Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + SPARE);
  const rows = [];
  for (let place = first; place < last; place++) rows.push(rowOf(app, listing, place));
  inside.replaceChildren(...rows);
  const isDrawn = lines.indexOf(listing.current) >= first && lines.indexOf(listing.current) < last;
  if (isDrawn) frame.setAttribute("aria-activedescendant", `line-${listing.current}`);
  else frame.removeAttribute("aria-activedescendant");
}

function rowOf(app, listing, place) {
  const line = listing.lines[place];
  const number = app.model.lineNodes[line];
  const isCurrent = line === listing.current;
  const row = element("div", {role: "option", id: `line-${line}`, "aria-selected": isCurrent,
                              "aria-posinset": place + 1, "aria-setsize": listing.lines.length,
                              "data-line": line}, app.model.lines[line] || " ");
  if (number >= 0) row.dataset.family = app.model.nodes[number].family;
  row.style.top = `${place * ROW}px`;
  return row;
}
