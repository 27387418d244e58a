"use strict";
// Draws what the report holds, with what style/table.js has.

function sectionOf(section) {
  const rows = section.total ? ` ${number(section.total)} ${section.total === 1 ? "row" : "rows"}` : "";
  const node = make("details", { class: "recipe", id: "r-" + section.name },
    make("summary", null, make("span", { class: "name" }, section.name), " ", make("span", { class: "title" }, section.title),
      make("span", { class: section.error ? "problem" : "count" }, section.error ? " not run" : rows)));
  let filled = false;
  node.addEventListener("toggle", () => { // a large table is made when somebody looks at it
    if (filled || !node.open) return;
    filled = true;
    if (section.description) node.append(make("p", { class: "description" }, section.description));
    for (const text of [section.error, ...(section.problems || [])]) if (text) node.append(make("p", { class: "problem" }, text));
    if (section.printed && section.printed.length) node.append(make("pre", null, section.printed.join("\n")));
    if (section.total) node.append(...tableOf(section).nodes);
    node.append(make("p", { class: "from" }, "recipe from " + section.from));
    if (section.cost) node.append(make("p", { class: "cost" }, section.cost));
  });
  return node;
}

function drawTables() {
  const list = report.sections || [];
  document.getElementById("sections").append(...list.map(sectionOf));
  document.getElementById("contents").append(...list.map((s) => make("a", { href: "#r-" + s.name }, s.name)));
  const follow = () => {
    const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (node && node.tagName === "DETAILS") { node.open = true; node.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();
}

// ---- goroutines by stack

function drawStacks(root) {
  const section = reveal("drawing-stacks");
  const box = section.querySelector(".icicle"), detail = section.querySelector(".detail");
  const rowHeight = 21;
  (function link(frame, parent) { frame.parent = parent; (frame.k || []).forEach((k) => link(k, frame)); })(root, null);
  function colour(name) { // one colour for a package
    let hash = 0;
    const cut = name.split(" ")[0], dot = cut.indexOf(".", cut.lastIndexOf("/") + 1), of = dot < 0 ? cut : cut.slice(0, dot);
    for (const c of of) hash = (hash * 31 + c.charCodeAt(0)) >>> 0;
    return `hsl(${hash % 360} 55% 76%)`;
  }
  function look(focus) {
    const chain = [];
    for (let f = focus; f; f = f.parent) chain.unshift(f);
    const width = box.clientWidth, nodes = [];
    let deepest = 0;
    function put(frame, row, left, wide) {
      deepest = Math.max(deepest, row);
      const text = `${frame.n} (${number(frame.c)})`;
      nodes.push(make("button", { type: "button", title: text, style: `left:${left}px;top:${row * rowHeight}px;width:${Math.max(wide, 1)}px;background:${colour(frame.n)}`,
        onclick: () => look(frame), onmouseenter: () => { detail.textContent = text; }, onfocus: () => { detail.textContent = text; } }, wide > 24 ? text : ""));
    }
    function fill(frame, row, left, wide) {
      for (const kid of frame.k || []) {
        const w = wide * kid.c / frame.c;
        if (w >= 1.5) { put(kid, row, left, w); fill(kid, row + 1, left, w); }
        left += w;
      }
    }
    chain.forEach((f, row) => put(f, row, 0, width));
    fill(focus, chain.length, 0, width);
    box.replaceChildren(...nodes);
    box.style.height = (deepest + 1) * rowHeight + "px";
    box.focused = focus;
  }
  look(root);
  addEventListener("resize", () => look(box.focused));
}

// ---- heap by type

function drawHeap(list) {
  const largest = Math.max(...list.map((s) => s.bytes), 1);
  const bars = reveal("drawing-heap").querySelector(".bars");
  for (const s of list) {
    bars.append(make("div", null, make("span", { class: "name" }, s.name), make("span", { class: "track" }, make("span", { class: "bar", style: `width:${100 * s.bytes / largest}%` })),
      make("span", { class: "figure" }, `${size(s.bytes)} · ${number(s.count)} · ${s.percent.toFixed(1)} %`)));
  }
}

// ---- locks: goroutines that wait on the left, locks in the middle, holders on the right; a holder that waits itself stands on the left

function drawLocks(graph) {
  const holders = new Map(), waits = new Map();
  for (const lock of graph.locks) {
    holders.set(lock.name, lock.holders || []);
    for (const g of lock.waiters || []) waits.set(g, lock.name);
  }
  const leads = (from, to) => { // whether the way goroutine -> lock -> holder -> ... comes from one to the other
    const seen = new Set(), next = [from];
    while (next.length) {
      for (const g of holders.get(waits.get(next.pop())) || []) {
        if (g === to) return true;
        if (!seen.has(g)) { seen.add(g); next.push(g); }
      }
    }
    return false;
  };
  const inCircle = (g) => leads(g, g);
  const lineHeight = 26, left = 10, middle = 330, right = 730, boxHeight = 22;
  const places = new Map(), drawn = [];
  let y = 10;
  const text = (s, most) => (s.length > most ? s.slice(0, most - 1) + "…" : s);
  const svg = shape("svg", { width: 940, role: "img", "aria-label": "who waits for which lock, and who holds it" });
  const defs = shape("defs", {});
  for (const [id, colour] of [["arrow", "var(--soft)"], ["arrow-circle", "var(--critical)"]]) {
    const marker = shape("marker", { id, viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
    marker.append(shape("path", { d: "M0,0 L8,4 L0,8 z", style: `fill:${colour};stroke:none` }));
    defs.append(marker);
  }
  svg.append(defs);
  function box(x, atY, width, label, kind) {
    const group = shape("g", {});
    group.append(shape("title", {}, label), shape("rect", { x, y: atY, width, height: boxHeight, class: "box " + kind }), shape("text", { x: x + 8, y: atY + 15 }, text(label, Math.floor((width - 14) / 7.3))));
    drawn.push(group);
  }
  const edges = [];
  for (const lock of graph.locks) {
    const waiters = lock.waiters || [], top = y;
    for (const g of waiters) { places.set(g, { x: left, y, width: 150 }); box(left, y, 150, "goroutine " + g, "goroutine"); edges.push({ g, lock: lock.name }); y += lineHeight; }
    if (lock.more) { box(left, y, 150, `${number(lock.more)} more`, "goroutine"); y += lineHeight; }
    if (y === top) y += lineHeight;
    const at = (top + y - lineHeight) / 2;
    places.set("lock " + lock.name, { x: middle, y: at, width: 340 });
    box(middle, at, 340, lock.kind ? `${lock.name} (${lock.kind})` : lock.name, "");
    let beside = at;
    for (const g of lock.holders || []) {
      if (waits.has(g) || places.has(g)) continue;
      places.set(g, { x: right, y: beside, width: 200 });
      box(right, beside, 200, "goroutine " + g, "goroutine");
      beside += lineHeight;
    }
    y = Math.max(y, beside) + 14;
  }
  const h = boxHeight / 2;
  for (const e of edges) {
    const from = places.get(e.g), to = places.get("lock " + e.lock), circle = inCircle(e.g);
    svg.append(shape("path", { d: `M${from.x + from.width},${from.y + h} C${from.x + from.width + 30},${from.y + h} ${to.x - 30},${to.y + h} ${to.x},${to.y + h}`, class: circle ? "circle" : "", "marker-end": `url(#arrow${circle ? "-circle" : ""})` }));
  }
  for (const [lock, g] of graph.locks.flatMap((l) => (l.holders || []).map((g) => [l.name, g]))) {
    const from = places.get("lock " + lock), to = places.get(g), circle = inCircle(g);
    const kind = { class: (circle ? "circle " : "") + "dashed", "marker-end": `url(#arrow${circle ? "-circle" : ""})` };
    const back = to.x < from.x, startX = back ? from.x : from.x + from.width, endX = back ? to.x + to.width : to.x, bend = back ? -70 : 30;
    const startY = from.y + (back ? boxHeight - 4 : h), endY = to.y + (back ? boxHeight - 6 : h);
    svg.append(shape("path", { d: `M${startX},${startY} C${startX + bend},${startY} ${endX - bend},${endY} ${endX},${endY}`, ...kind }));
  }
  svg.append(...drawn);
  svg.setAttribute("height", y + 10);
  const section = reveal("drawing-locks");
  section.querySelector(".scroll").append(svg);
  if (graph.left) section.append(make("p", { class: "more" }, `${number(graph.left)} more locks are in the table of the recipe locks.`));
}

if (report.drawings.locks) drawLocks(report.drawings.locks);
if (report.drawings.stacks) drawStacks(report.drawings.stacks);
if (report.drawings.heap) drawHeap(report.drawings.heap);
drawTables();
