
// ---- what the server says

class Refused extends Error { constructor(status, text) { super(text); this.status = status; } }

// headers are those of a request. Without TLS the page shows its session by one: a cookie would be every port's of the machine.
function headers(body) {
  const out = body ? { "Content-Type": "application/json" } : {}, session = sessionStorage.getItem("session");
  if (session) out["Ri-Session"] = session;
  return out;
}

async function call(method, path, body) {
  const answer = await fetch(path, { method, credentials: "same-origin", headers: headers(body), body: body ? JSON.stringify(body) : undefined });
  if (answer.status === 204) return null;
  const got = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, got.error || `the server answered ${answer.status}`);
  return got;
}

// asked gives, one after the other, the objects that a question is answered with.
async function* asked(question, signal) {
  const answer = await fetch("/api/ask", { method: "POST", headers: headers(question), body: JSON.stringify(question), signal });
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error || `the server answered ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

// ---- the frame

const $ = (id) => document.getElementById(id);
let me = null, recipes = [], stopView = () => {}, shownHash = null;
const lastCheck = new Map(); // by host and target: what check said of it

function trouble(text) {
  $("trouble").hidden = !text;
  $("trouble").textContent = text || "";
}

function failed(err) {
  if (err.name === "AbortError") return;
  if (err instanceof Refused && err.status === 401) { me = null; enter(err.message); return; }
  trouble(err instanceof Refused ? err.message : `the server can't be reached: ${err.message}`);
}

// every does something now and again for as long as the view is shown. What fails is told, and tried again.
function every(ms, signal, work) {
  let timer = null;
  const again = async () => {
    if (signal.aborted) return;
    if (document.visibilityState === "visible") {
      try { await work(); if (!signal.aborted) trouble(""); } catch (err) { if (!signal.aborted) failed(err); }
    }
    if (!signal.aborted) timer = setTimeout(again, ms);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  again();
}

const views = [["processes", "Processes", processes, () => me.fleet], ["hosts", "Hosts", hosts, () => me.fleet], ["ask", "Ask", ask, () => me.asks],
  ["requests", "Requests", requests, () => me.requests]];

const mine = () => views.filter((v) => v[3]());

function show() {
  if (!me || location.hash === shownHash) return;
  shownHash = location.hash;
  stopView();
  trouble("");
  const [name, ...rest] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const view = mine().find((v) => v[0] === name) || mine()[0];
  if (!view) { trouble("you are known here, and nothing is shown to you: the page has no certificate for requests (--tls) and none for agents (--as)"); return; }
  $("tabs").replaceChildren(...mine().map((v) => make("a", { href: "#" + v[0], "aria-current": v === view ? "page" : null }, v[1])));
  document.title = "ri: " + view[1].toLowerCase();
  const stop = new AbortController();
  stopView = () => stop.abort();
  const place = $("view");
  place.replaceChildren();
  view[2](place, stop.signal, rest);
  if (!document.activeElement || document.activeElement === document.body) place.focus({ preventScroll: true });
}

// field is a labelled input.
function field(label, attributes, help) {
  const input = attributes.options ? make("select", { name: attributes.name, "aria-label": attributes.aria || null }, ...attributes.options.map((o) =>
    make("option", { value: o.value === undefined ? o : o.value }, o.text === undefined ? o : o.text))) : make("input", attributes);
  return { input, node: make("label", { class: attributes.class || null }, label, input, help ? make("span", { class: "help" }, help) : null) };
}

const whereField = (value) => field("where", { name: "where", class: "wide", placeholder: "env == prod && module =~ nats-server", value: value || null, spellcheck: "false",
  autocomplete: "off" });

// opens has a row opened by a click or Enter.
function opens(node, open) {
  node.setAttribute("tabindex", "0");
  node.addEventListener("click", () => { if (!String(getSelection())) open(); });
  node.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target === node) { e.preventDefault(); open(); } });
}

// kept has a table keep its place: the row that had the focus has it again.
function kept(table, section, refresh) {
  const focused = document.activeElement && document.activeElement.closest("tr[data-key]");
  const key = focused && focused.dataset.key;
  refresh();
  if (key) for (const row of table.querySelectorAll("tr[data-key]")) if (row.dataset.key === key) { row.focus({ preventScroll: true }); break; }
}

// listView is a table of something that the server lists, by conditions, again and again.
function listView(place, signal, path, name, extra, dress) {
  const where = whereField(), count = make("p", { class: "status", "aria-live": "polite" });
  const section = { name, columns: [], rows: [], total: 0, cut: "" };
  const table = tableOf(section, dress);
  let wanted = "";
  const box = make("div", null, ...table.nodes);
  const load = async () => {
    const now = wanted;
    const got = await call("GET", path + (now ? "?where=" + encodeURIComponent(now) : ""));
    if (signal.aborted || now !== wanted) return;
    section.columns = got.columns.concat(extra ? extra.columns : []);
    section.rows = extra ? got.rows.map((r) => r.concat(extra.cells(r, got.columns))) : got.rows;
    section.total = got.total;
    kept(box, section, table.refresh);
    count.textContent = got.total === 0 && !now ? "nobody has registered: ri serve --db METHOD at each host" : (got.log || []).join("; ");
  };
  const form = make("form", { onsubmit: (e) => { e.preventDefault(); wanted = where.input.value.trim(); load().then(() => trouble(""), failed); } }, where.node,
    make("button", { type: "submit" }, "show"));
  place.append(form, count, box);
  every(5000, signal, load);
  return { form, load, section, wanted: () => wanted };
}

// ---- hosts and processes

function hosts(place, signal) { listView(place, signal, "/api/hosts", "hosts"); }

const cellOf = (columns, row, name) => { const i = columns.findIndex((c) => c.name === name); return i < 0 ? "" : cellText(row[i]); };

function processes(place, signal) {
  const results = make("section", { "aria-label": "findings", "aria-live": "polite" });
  const stop = make("button", { type: "button", hidden: "" }, "stop");
  const all = make("button", { type: "button", title: "all of which the condition holds", onclick: () => check(list.wanted() ? [list.wanted()] : [], `${number(list.section.total)} processes`) }, "check all");
  const keyOf = (row) => cellOf(list.section.columns, row, "host") + " " + cellOf(list.section.columns, row, "target");
  const list = listView(place, signal, "/api/targets", "processes", {
    columns: [{ name: "check", help: "what check found, when it was asked here" }],
    cells: (row, columns) => [lastCheck.get(cellOf(columns, row, "host") + " " + cellOf(columns, row, "target")) || "-"],
  }, (node, row) => {
    node.dataset.key = keyOf(row);
    all.textContent = `check all ${number(list.section.total)}`;
    const said = cellText(row[row.length - 1]);
    node.lastChild.className = /^nothing/.test(said) ? "calm" : /finding/.test(said) ? "critical" : said === "-" ? "" : "warning";
    if (me.asks) opens(node, () => {
      const host = cellOf(list.section.columns, row, "host"), pid = cellOf(list.section.columns, row, "pid");
      const quote = host.includes("'") ? '"' : "'";
      check([`host == ${quote}${host}${quote} && pid == ${pid}`], keyOf(row));
    });
  });
  if (me.asks) list.form.append(all, stop);
  place.append(make("p", { class: "hint" }, me.asks ? "A row that is opened is checked: what is wrong with that process." : "This page asks no agents for you."), results);
  let running = null;
  async function check(where, what) {
    if (running) running.abort();
    const own = running = new AbortController();
    const end = () => own.abort();
    signal.addEventListener("abort", end);
    stop.hidden = false;
    stop.onclick = end;
    const status = make("p", { class: "status" }, `checking ${what} …`), found = make("div");
    results.replaceChildren(make("h2", null, `Findings: ${what}`), status, found);
    results.scrollIntoView({ block: "nearest" });
    const by = new Map(), doing = new Map();
    let ended = 0, findings = 0;
    try {
      for await (const line of asked({ recipe: "", where }, own.signal)) {
        if (line.finding) {
          findings++;
          found.append(findingOf(line.finding));
        } else if (line.row) {
          const row = Object.fromEntries(line.row), key = cellText(row.host) + " " + cellText(row.target);
          if (!doing.has(key)) doing.set(key, []);
          doing.get(key).push([cellText(row.subject || ""), cellText(row.what || "")]);
        } else if (line.target) {
          const t = line.target, key = t.host + " " + t.target;
          ended++;
          by.set(key, t);
          lastCheck.set(key, t.state !== "answered" ? `${t.state}: ${t.why}` : t.findings ? (t.findings === 1 ? "1 finding" : `${t.findings} findings`) :
            t.partial ? "in part: nothing found" : "nothing found");
          status.textContent = `${number(ended)} of them ended, ${number(findings)} findings`;
        } else if (line.end) {
          const whole = ended > 0 && [...by.values()].every((t) => t.state === "answered" && !t.partial);
          status.textContent = (findings ? "" : whole ? "Nothing found. " : "Nothing found in what was checked, which isn't all. ") + line.end.text + (line.end.error ? `: ${line.end.error}` : "");
        } else if (line.error) {
          status.textContent = line.error;
          status.classList.add("problem");
        }
      }
    } catch (err) {
      if (err.name === "AbortError") status.textContent = `stopped; ${number(ended)} had ended`; else failed(err);
    }
    signal.removeEventListener("abort", end);
    if (running === own) { running = null; stop.hidden = true; }
    if (signal.aborted) return;
    for (const [key, t] of by) if (t.state !== "answered") found.append(make("p", { class: "problem" }, `${key}: ${t.state}: ${t.why}`));
    if (doing.size <= 20) for (const [key, lines] of doing) {
      found.append(make("details", null, make("summary", null, `what ${key} is doing`), make("dl", null, ...lines.map(([a, b]) => make("div", null, make("dt", null, a), make("dd", null, b))))));
    }
    list.load().catch(failed);
  }
}

function findingOf(f) {
  return make("article", { class: "finding " + (["critical", "info"].includes(f.severity) ? f.severity : "warning") },
    make("h3", null, make("span", { class: "severity" }, f.severity), " ", f.what),
    make("p", { class: "where" }, `${f.host} ${f.target}${f.where ? ": " + f.where : ""}`),
    f.evidence.length ? make("ul", null, ...f.evidence.map((e) => make("li", null, e))) : null,
    f.next ? make("p", { class: "next" }, make("b", null, "Next: "), f.next) : null);
}

// ---- a recipe's rows of many

function ask(place, signal) {
  const recipe = field("recipe", { name: "recipe", options: recipes.map((r) => ({ value: r.name, text: `${r.name}: ${r.title}` })) });
  const params = make("div", { class: "params" }), where = whereField();
  const go = make("button", { type: "submit", class: "main" }, "ask"), stop = make("button", { type: "button", hidden: "" }, "stop");
  const status = make("p", { class: "status", "aria-live": "polite" }), says = make("div", { class: "say" }), box = make("div"), found = make("div");
  let inputs = [];
  function choose() {
    const r = recipes.find((one) => one.name === recipe.input.value);
    inputs = (r && r.params || []).map((p) => [p, field(p.name + (p.required ? " (needed)" : ""), p.values && p.type === "enum"
      ? { name: "p-" + p.name, options: ["", ...p.values] } : { name: "p-" + p.name, placeholder: p.default || p.type, autocomplete: "off" }, p.help)]);
    params.replaceChildren(...inputs.map(([, f]) => f.node));
  }
  recipe.input.addEventListener("change", choose);
  choose();
  place.append(make("form", { onsubmit: (e) => { e.preventDefault(); run().catch(failed); } }, recipe.node, where.node, params, go, stop),
    status, says, found, box);
  async function run() {
    const own = new AbortController(), end = () => own.abort();
    signal.addEventListener("abort", end);
    go.disabled = true;
    stop.hidden = false;
    stop.onclick = end;
    trouble("");
    says.replaceChildren();
    found.replaceChildren();
    const section = { name: recipe.input.value, columns: [{ name: "host" }, { name: "target" }], rows: [], total: 0, cut: "; ri fleet run has all" };
    const table = tableOf(section), at = new Map([["host", 0], ["target", 1]]), missing = [];
    box.replaceChildren(...table.nodes);
    let ended = 0, due = null;
    const draw = () => { due = null; if (!signal.aborted) table.refresh(); };
    status.textContent = "asking …";
    try {
      for await (const line of asked({ recipe: recipe.input.value, where: where.input.value.trim() ? [where.input.value.trim()] : [],
        params: inputs.filter(([, f]) => f.input.value !== "").map(([p, f]) => `${p.name}=${f.input.value}`) }, own.signal)) {
        if (line.columns) {
          for (const c of line.columns) if (!at.has(c.name)) { at.set(c.name, section.columns.length); section.columns.push(c); }
        } else if (line.row) {
          const row = section.columns.map(() => "-");
          for (const [name, cell] of line.row) {
            if (!at.has(name)) { at.set(name, section.columns.length); section.columns.push({ name, right: Array.isArray(cell) }); }
            row[at.get(name)] = cell;
          }
          for (let i = 0; i < section.columns.length; i++) row[i] ??= "-";
          section.rows.push(row);
          section.total++;
        } else if (line.finding) {
          found.append(findingOf(line.finding));
        } else if (line.target) {
          ended++;
          if (line.target.state !== "answered") missing.push(line.target);
        } else if (line.say) {
          says.append(make("div", null, line.say));
        } else if (line.error) {
          status.textContent = line.error;
        } else if (line.end) {
          section.total += line.end.left || 0;
          status.textContent = line.end.text + (line.end.error ? `: ${line.end.error}` : "");
        }
        if (!line.end && !line.error) status.textContent = `${number(ended)} processes have answered, ${number(section.rows.length)} rows`;
        due ??= setTimeout(draw, 300);
      }
    } catch (err) {
      if (err.name === "AbortError") status.textContent = `stopped: ${number(ended)} processes had answered`; else { status.textContent = ""; failed(err); }
    }
    clearTimeout(due);
    draw();
    for (const t of missing.slice(0, 50)) found.append(make("p", { class: "problem" }, `${t.host} ${t.target}: ${t.state}: ${t.why}`));
    if (missing.length > 50) found.append(make("p", { class: "problem" }, `and ${number(missing.length - 50)} more`));
    signal.removeEventListener("abort", end);
    go.disabled = false;
    stop.hidden = true;
  }
}

// ---- requests for traces

const clock = (text) => new Date(text).toLocaleTimeString([], { hour12: false });

function requests(place, signal, [id, flow]) {
  if (id) { oneRequest(place, signal, id, flow); return; }
  const section = { name: "requests", columns: ["name", "state", "tenant", "device", "condition", "flows a host", "expires", "id"].map((name) => ({ name, right: name === "flows a host" })), rows: [] };
  const table = tableOf(section, (node, row) => { node.dataset.key = row[7]; opens(node, () => { location.hash = "#requests/" + row[7]; }); });
  const status = make("p", { class: "status" }), box = make("div", null, ...table.nodes);
  const load = async () => {
    const all = await call("GET", "/traces");
    section.rows = all.map((t) => [t.name || "-", t.enabled ? "enabled" : "disabled", t.tenantId, t.device, t.condition || "-", [String(t.maxFlowsPerHost), t.maxFlowsPerHost], t.expires, t.id]);
    section.total = section.rows.length;
    status.textContent = all.length ? "" : "there are no requests yet";
    kept(box, section, table.refresh);
  };
  place.append(make("h2", null, "Requests"), status, box);
  every(3000, signal, load);
  newRequest(place, signal, load).catch(failed);
}

async function newRequest(place, signal) {
  const devices = await call("GET", "/devices");
  if (signal.aborted) return;
  if (!devices.length) { place.append(make("p", { class: "hint" }, "There is no device that you may trace: an operator defines them (ri fleet device create).")); return; }
  const device = field("device", { name: "device", options: devices.map((d) => d.name) });
  const tenant = me.tenant ? null : field("tenant", { name: "tenant", required: "", autocomplete: "off" });
  const name = field("name", { name: "name", maxlength: "200", autocomplete: "off" }), condition = field("condition", { name: "condition", class: "wide", spellcheck: "false", autocomplete: "off" });
  const shown = field("show, separated by commas", { name: "show", class: "wide", spellcheck: "false", autocomplete: "off" });
  const key = field("known again by", { name: "key", options: [""] }), flows = field("flows at each host", { name: "flows", type: "number", min: "1", max: "10000", placeholder: "10" });
  const life = field("for", { name: "expires", placeholder: "10m", autocomplete: "off" }), hint = make("p", { class: "hint" });
  function choose() {
    const d = devices.find((one) => one.name === device.input.value);
    key.input.replaceChildren(make("option", { value: "" }, "nothing"), ...(d.keys || []).map((k, i) => make("option", { value: String(i) }, k.ingress + " → " + k.egress)));
    if (d.keys && d.keys.length) key.input.value = "0";
    hint.textContent = `enters at ${d.ingress.join(", ")}${d.egress ? ", leaves at " + d.egress.join(", ") : ""}. What may be tested and shown: ${d.paths.concat(d.egressPaths || []).join(", ")}`;
  }
  device.input.addEventListener("change", choose);
  choose();
  place.append(make("h2", null, "A new request"), hint, make("form", { id: "new", onsubmit: async (e) => {
    e.preventDefault();
    const d = devices.find((one) => one.name === device.input.value), r = { device: d.name };
    if (tenant) r.tenantId = tenant.input.value.trim();
    if (name.input.value) r.name = name.input.value;
    if (condition.input.value.trim()) r.condition = condition.input.value;
    if (shown.input.value.trim()) r.show = splitList(shown.input.value);
    if (key.input.value) r.key = d.keys[Number(key.input.value)];
    if (flows.input.value) r.maxFlowsPerHost = Number(flows.input.value);
    if (life.input.value.trim()) r.expires = life.input.value.trim();
    try { location.hash = "#requests/" + (await call("POST", "/traces", r)).id; } catch (err) { failed(err); }
  } }, ...[device, tenant, name, condition, shown, key, flows, life].filter((f) => f).map((f) => f.node), make("button", { type: "submit", class: "main" }, "create")));
}

// splitList splits at commas that are in no parentheses.
function splitList(text) {
  const out = [""];
  let deep = 0;
  for (const c of text) {
    if (c === "(" || c === "[") deep++;
    if (c === ")" || c === "]") deep--;
    if (c === "," && deep === 0) out.push(""); else out[out.length - 1] += c;
  }
  return out.map((s) => s.trim()).filter((s) => s);
}

function oneRequest(place, signal, id, flow) {
  const path = "/traces/" + encodeURIComponent(id);
  const about = make("dl"), state = make("p", { class: "status", "aria-live": "polite" });
  const act = (text, method, tail, after) => make("button", { type: "button", onclick: async () => {
    try { await call(method, path + tail); trouble(""); if (after) after(); else await load(); } catch (err) { failed(err); }
  } }, text);
  const on = act("enable", "PUT", "/enabled"), off = act("disable", "DELETE", "/enabled"), gone = act("delete", "DELETE", "", () => { location.hash = "#requests"; });
  on.className = "main";
  const hostsSection = { name: "hosts", columns: ["host", "state", "why", "processes", "hits", "flows", "ambiguous", "heard of"].map((name, i) => ({ name, right: i > 2 && i < 7 })), rows: [] };
  const flowsSection = { name: "flows", columns: ["flow", "entered", "took", "hops", "hosts", ""].map((name, i) => ({ name, right: i === 2 || i === 3 })), rows: [] };
  const hostsTable = tableOf(hostsSection), fall = make("section", { id: "fall", "aria-label": "flow" });
  const flowsTable = tableOf(flowsSection, (node, row) => {
    node.dataset.key = row[0];
    if (row[0] === flow) node.className = "chosen";
    opens(node, () => { flow = row[0]; history.replaceState(null, "", `#requests/${id}/${flow}`); shownHash = location.hash; drawn = ""; load().catch(failed); });
  });
  const hostsBox = make("div", null, ...hostsTable.nodes), flowsBox = make("div", null, ...flowsTable.nodes);
  place.append(make("p", null, make("a", { href: "#requests" }, "← all requests")), make("h2", null, "Request ", make("code", null, id)), about, make("p", null, on, " ", off, " ", gone), state,
    make("h2", null, "At each host"), hostsBox, make("h2", null, "Flows"), flowsBox, fall);
  let drawn = "";
  async function load() {
    const [t, e, at, seen] = await Promise.all([call("GET", path), call("GET", path + "/enabled"), call("GET", path + "/hosts"), call("GET", path + "/flows")]);
    if (signal.aborted) return;
    const facts = [["name", t.name], ["tenant", t.tenantId], ["device", t.device], ["condition", t.condition], ["show", (t.show || []).join(", ")],
      ["key", t.key && t.key.ingress + " → " + t.key.egress], ["flows at each host", String(t.maxFlowsPerHost)], ["for", t.expires]];
    about.replaceChildren(...facts.filter((f) => f[1]).map((f) => make("div", null, make("dt", null, f[0]), make("dd", null, f[1]))));
    on.disabled = e.enabled;
    off.disabled = !e.enabled;
    state.textContent = e.enabled ? `enabled by ${e.by} at ${clock(e.since)}, until ${clock(e.expires)}` : "disabled";
    hostsSection.rows = at.map((h) => [h.host, h.state + (h.done ? ": " + h.done : ""), h.why || "-", ...[h.targets, h.hits, h.matched, h.ambiguous].map((n) => [number(n), n]), clock(h.updated)]);
    hostsSection.total = at.length;
    kept(hostsBox, hostsSection, hostsTable.refresh);
    const lines = seen.map((f) => ({ f, w: waterfall(f) }));
    flowsSection.rows = lines.map(({ f, w }) => [f.flow, f.hops.length ? clock(f.hops[0].time) : "-", [ns(w.end), w.end], [String(f.hops.length), f.hops.length],
      [...new Set(f.hops.map((h) => h.host))].join(", "), f.ambiguous ? "ambiguous" : ""]);
    flowsSection.total = seen.length;
    kept(flowsBox, flowsSection, flowsTable.refresh);
    const one = lines.find(({ f }) => f.flow === flow);
    const text = JSON.stringify(one ? one.f : null);
    if (text !== drawn) { drawn = text; fall.replaceChildren(...(one ? draw(one.f, one.w) : flow && seen.length ? [make("p", { class: "problem" }, `there is no flow ${flow} here`)] : [])); }
  }
  every(2000, signal, load);
}

// ---- a flow as a waterfall

function ns(n) {
  if (n < 1e3) return `${Math.round(n)} ns`;
  if (n < 1e6) return `${(n / 1e3).toFixed(1)} µs`;
  if (n < 1e9) return `${(n / 1e6).toFixed(2)} ms`;
  return `${(n / 1e9).toFixed(3)} s`;
}

// wall is a time with nanoseconds, in nanoseconds since base (milliseconds); a double has no room for both.
function wall(text, base) {
  const [, digits] = /\.(\d+)/.exec(text) || ["", ""];
  const ms = Date.parse(text.replace(/\.\d+/, ""));
  return (ms - base) * 1e6 + Number((digits || "").padEnd(9, "0").slice(0, 9));
}

// waterfall places what a flow did on one line of time, in nanoseconds from its beginning. Hosts' clocks differ: what left before it entered is moved to when it
// entered at the earliest, and said.
function waterfall(f) {
  if (!f.hops.length) return { bars: [], end: 0 };
  const base = Date.parse(f.hops[0].time.replace(/\.\d+/, ""));
  let entered = null, end = 0;
  const bars = [];
  for (const hop of f.hops) {
    const lines = (hop.log || []).filter((l) => l.time || l.nanotime);
    const first = lines.find((l) => l.time && l.nanotime), at = (l) => (first && l.nanotime ? wall(first.time, base) + (l.nanotime - first.nanotime) : l.time ? wall(l.time, base) : 0);
    const took = (l) => (l.duration_ns || 0), from = (l) => at(l) - (l.what === "leave" ? took(l) : 0);
    let begin = wall(hop.time, base), over = begin;
    if (lines.length) { begin = Math.min(...lines.map(from)); over = Math.max(...lines.map(at)); }
    const offset = Math.abs(hop.clockOffset || 0) >= 1e8 ? hop.clockOffset : 0; // the estimate is some milliseconds off
    begin -= offset;
    over -= offset;
    if (entered === null) entered = begin;
    const moved = hop.side === "egress" && begin < entered ? entered - begin : 0;
    const bar = { hop, offset, begin: begin + moved, end: over + moved, moved, lines: [] };
    for (const l of lines) if (l.what !== "enter" || lines.length === 1) bar.lines.push({ l, begin: from(l) - offset + moved, took: took(l) });
    bar.lines.sort((a, b) => a.begin - b.begin);
    bars.push(bar);
  }
  const zero = Math.min(...bars.map((b) => b.begin));
  for (const b of bars) {
    b.begin -= zero;
    b.end -= zero;
    for (const l of b.lines) l.begin -= zero;
    end = Math.max(end, b.end);
  }
  return { bars, end };
}

function draw(f, w) {
  const lane = (begin, took) => {
    const bar = make("span"), whole = w.end || 1;
    bar.style.left = Math.min(99.5, (100 * begin) / whole) + "%"; // by the object model, which the page's policy allows
    bar.style.width = Math.max(0, Math.min(100, (100 * took) / whole)) + "%";
    return make("td", { class: "lane" }, bar);
  };
  const values = (v) => Object.entries(v || {}).map(([k, x]) => `${k} = ${typeof x === "string" ? x : JSON.stringify(x)}`).join("\n");
  const rows = [];
  for (const b of w.bars) {
    const kind = `${b.hop.side}${b.hop.ambiguous || f.ambiguous ? " ambiguous" : ""}`;
    const target = (b.hop.log || []).map((l) => l.target).find((t) => t) || "";
    rows.push(make("tr", { class: "hop " + kind }, make("td", null, `${b.hop.host} ${target}`), make("td", null, b.hop.side === "egress" ? "leaves" : "enters"),
      make("td", { class: "right" }, ns(b.begin)), make("td", { class: "right" }, ns(b.end - b.begin)), lane(b.begin, b.end - b.begin),
      make("td", null, b.moved ? `its clock is ${ns(b.moved)} or more behind; shown as if it weren't` : b.offset ? `its clock is some ${ns(Math.abs(b.offset))} ${b.offset > 0 ? "ahead" : "behind"}, which is taken off` : "")));
    for (const { l, begin, took } of b.lines) {
      rows.push(make("tr", { class: kind }, make("td", { class: l.what === "leave" ? "in1" : "in2" }, l.func || (l.what === "go" ? "a goroutine is started" : l.what === "end" ? "its goroutine ends" : l.what)),
        make("td", null, `${l.what === "leave" ? "call" : l.what}${l.goroutine ? ` g${l.goroutine}` : ""}${l.started ? ` → g${l.started}` : ""}`),
        make("td", { class: "right" }, ns(begin)), make("td", { class: "right" }, took ? ns(took) : ""), lane(begin, took), make("td", null, values(l.values))));
    }
    const cut = b.hop.rows - (b.hop.log || []).length;
    if (cut > 0) rows.push(make("tr", { class: kind }, make("td", { class: "in1", colspan: "6" }, b.hop.log ? `and ${number(cut)} more, in the agent's log` : `${number(cut)} lines are in the agent's log: they weren't encrypted to this server`)));
  }
  return [make("h2", null, "Flow ", make("code", null, f.flow), ` over ${number(w.bars.length)} ${w.bars.length === 1 ? "hop" : "hops"}, ${ns(w.end)}`),
    make("div", { class: "table", tabindex: "0" }, make("table", { class: "fall" }, make("thead", null, make("tr", null, ...["where", "what", "at", "took", "", "values"].map((h) => make("th", null, make("button", { type: "button", tabindex: "-1" }, h))))),
      make("tbody", null, ...rows)))];
}

// ---- who, and keys

function enter(why) {
  stopView();
  shownHash = null;
  $("tabs").hidden = $("who").hidden = true;
  const token = field("a tenant's token", { name: "token", type: "password", required: "", autocomplete: "off", class: "wide" });
  trouble("");
  $("view").replaceChildren(make("h2", null, "Who are you?"), make("p", null, why || ""), make("form", { onsubmit: async (e) => {
    e.preventDefault();
    try { await letIn({ token: token.input.value }); await begin(); } catch (err) { trouble(err.message); }
  } }, token.node, make("button", { type: "submit", class: "main" }, "enter")));
  token.input.focus();
}

// letIn shows what lets somebody in.
async function letIn(by) {
  const got = await call("POST", "/api/session", by);
  if (got.session) sessionStorage.setItem("session", got.session);
}

async function begin() {
  const got = await call("GET", "/api/me");
  me = got.person;
  recipes = got.recipes || [];
  $("who").firstChild.textContent = me.tenant ? `for ${me.tenant}` : me.name;
  $("tabs").hidden = $("who").hidden = false;
  trouble("");
  show();
}

async function start() {
  const once = /^#once=(.+)$/.exec(location.hash);
  if (once) {
    history.replaceState(null, "", location.pathname);
    try { await letIn({ once: once[1] }); } catch (err) { enter(err.message); return; }
  }
  try { await begin(); } catch (err) { if (err instanceof Refused && err.status === 401) enter(err.message); else failed(err); }
}

addEventListener("hashchange", () => { if (/^#once=/.test(location.hash)) start(); else show(); });
$("leave").addEventListener("click", async () => { try { await call("DELETE", "/api/session"); } catch (err) { failed(err); } sessionStorage.removeItem("session"); me = null; enter("You have left."); });
$("keys").addEventListener("click", () => $("help").showModal());
$("nokeys").addEventListener("click", () => $("help").close());
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || !me || $("help").open) return;
  const at = document.activeElement, typing = at && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName);
  if (e.key === "Escape") {
    if (typing) { at.blur(); $("view").focus(); } else if (/^#requests\/./.test(location.hash)) location.hash = "#requests";
    return;
  }
  if (typing) return;
  const view = mine()[Number(e.key) - 1];
  if (view) { location.hash = "#" + view[0]; return; }
  if (e.key === "?") { $("help").showModal(); return; }
  if (e.key === "/") {
    const first = $("view").querySelector("input:not([hidden])");
    if (first) { e.preventDefault(); first.focus(); }
    return;
  }
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[e.key];
  if (!step) return;
  const row = at && at.closest("tr[tabindex]");
  const all = [...$("view").querySelectorAll("tr[tabindex]")];
  const next = row ? all[all.indexOf(row) + step] : at && at.closest("#view") && e.key.length > 1 && at.id !== "view" ? null : all[0];
  if (next) { e.preventDefault(); next.focus(); }
});
start();
