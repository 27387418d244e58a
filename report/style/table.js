"use strict";
// What pages of ri have in common: nodes, figures, tables. All text becomes text nodes.

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null));
  return node;
}

function shape(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function reveal(id) {
  const section = document.getElementById(id);
  section.hidden = false;
  return section;
}

const number = (n) => n.toLocaleString("en");

function size(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return (unit === "B" || n >= 99.95 ? n.toFixed(0) : n.toFixed(1)) + " " + unit;
    n /= 1024;
  }
  return n.toFixed(1) + " TiB";
}

// ---- tables

const cellText = (cell) => (Array.isArray(cell) ? cell[0] : cell);

function compare(a, b) {
  if (Array.isArray(a) && Array.isArray(b)) return a[1] - b[1];
  if (Array.isArray(a) !== Array.isArray(b)) return Array.isArray(a) ? -1 : 1; // numbers before what is absent
  return a < b ? -1 : a > b ? 1 : 0;
}

const shownAtOnce = 200;

// tableOf is a table of section.columns ({name, help, right}) and section.rows (of cells), which sorts and filters. refresh shows what section has by then;
// dress is given each row's node and cells.
function tableOf(section, dress) {
  section.columns ||= [];
  let rows = [], sorted = -1, falling = false, shown = shownAtOnce, headers = [];
  const head = make("tr"), body = make("tbody"), more = make("p", { class: "more" });
  const all = () => section.rows || [];
  function header() {
    headers = section.columns.map((c, i) => make("th", { class: c.right ? "right" : null, "aria-sort": "none", title: c.help || null },
      make("button", { type: "button", onclick: () => sort(i) }, c.name)));
    head.replaceChildren(...headers);
  }
  function draw() {
    body.replaceChildren(...rows.slice(0, shown).map((row) => {
      const node = make("tr", null, ...section.columns.map((c, i) => make("td", { class: c.right ? "right" : null }, i < row.length ? cellText(row[i]) : "")));
      if (dress) dress(node, row);
      return node;
    }));
    more.replaceChildren();
    const cut = section.total > all().length ? `; the page holds ${number(all().length)} of ${number(section.total)}${section.cut || ", the folder of the report has them all"}` : "";
    if (rows.length > shown) {
      more.append(`${number(shown)} of ${number(rows.length)} rows `, make("button", { type: "button", onclick: () => { shown *= 5; draw(); } }, "more"), cut);
    } else {
      more.append(`${number(rows.length)} ${rows.length === 1 ? "row" : "rows"}${cut}`);
    }
  }
  function refresh() {
    if (headers.length !== section.columns.length) header();
    const wanted = filter.value.toLowerCase();
    rows = wanted ? all().filter((row) => row.some((cell) => cellText(cell).toLowerCase().includes(wanted))) : all().slice();
    if (sorted >= 0) rows.sort((a, b) => (falling ? -1 : 1) * compare(a[sorted], b[sorted]));
    filter.hidden = all().length <= 5 && !wanted;
    draw();
  }
  function sort(i) {
    falling = sorted === i ? !falling : section.columns[i].right; // the largest number is what one looks for
    sorted = i;
    headers.forEach((h, k) => h.setAttribute("aria-sort", k !== i ? "none" : falling ? "descending" : "ascending"));
    refresh();
  }
  const filter = make("input", { type: "search", placeholder: "filter rows", "aria-label": "filter rows of " + section.name, oninput: () => { shown = shownAtOnce; refresh(); } });
  refresh();
  return { nodes: [filter, make("div", { class: "table", tabindex: 0 }, make("table", null, make("thead", null, head), body)), more], refresh };
}
