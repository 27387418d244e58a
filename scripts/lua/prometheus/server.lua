-- A Prometheus server (github.com/prometheus/prometheus), as the instruments of this folder see it.
--
-- The ways in: no package variable leads to it. main.main and the goroutines that it starts hold a *scrape.Manager and a *tsdb.DB, and so
-- ri.find1 finds both. From there on it is fields:
--
--   Manager.scrapePools       map[string]*scrapePool       by name; scrapePool.activeTargets map[uint64]*Target
--   Head.postings.m           map[name]map[value][]ref     which series have a label; the empty name has all of them
--   Head.series.series        []map[ref]*memSeries         the stripe of a series is ref & (size - 1)
--   memSeries.lset            labels.Labels                below
--   Head.wal.segment.i        the number of the WAL's segment that is written to
--
-- Manager.mtxScrape guards the pools, MemPostings.mtx the postings; the recipes wait until they are free. A target and a series have locks
-- of their own, too many to wait for: a row may be in part from before the scrape that was under way.
--
-- What changed: labels.Labels is a slice of structs, a string (data) or a string of numbers with a table of symbols (data and syms), as the
-- program's build tags chose. In the string a length was a varint first, now it is a byte, or 255 and three bytes. Target had its URL's
-- parameters in `params`, now they are in its scrapeConfig.

local netpoll = require("netpoll")
local prometheus = {}

local package = "github.com/prometheus/prometheus/"
prometheus.package = package

-- head finds the head of the time series database; the first, in a program that has several.
function prometheus.head() return (ri.find1(package .. "tsdb.Head")) end

-- manager finds who scrapes.
function prometheus.manager() return (ri.find1(package .. "scrape.Manager")) end

-- number reads an integer or a text, that of go.uber.org/atomic's types too, which keep it in v.
function prometheus.number(struct, field)
  if not ri.has(struct, field) then return nil end
  local value = struct[field]
  -- A Bool has a Uint32, which has a number. An exact integer is no struct, though it is userdata too.
  while type(value) == "userdata" and not tostring(value):find("^%-?%d+$") and ri.has(value, "v") do value = value.v end
  return value
end

-- time is a time in milliseconds since 1970 in seconds; nil for the bounds that stand for none.
function prometheus.time(ms)
  if ms == nil or ri.cmp(ms, ri.int("-9223372036854775808")) == 0 or ri.cmp(ms, ri.int("9223372036854775807")) == 0 then return nil end
  return ri.float(ms) / 1000
end

-- lengths of Labels' strings: each gives a length that begins at a byte, and where its text begins; nil beyond the end.
local function marked(data, at)
  local b, low, middle, high = data:byte(at, at + 3)
  if b ~= 255 then return b, at + 1 end
  if high then return low + middle * 256 + high * 65536, at + 4 end
end

local function varint(data, at)
  local n, scale = 0, 1
  for i = at, at + 4 do
    local b = data:byte(i)
    if not b then return nil end
    n = n + (b % 128) * scale
    if b < 128 then return n, i + 1 end
    scale = scale * 128
  end
end

-- texts cuts a string of lengths and texts into its texts; nil where the lengths are none of this kind.
local function texts(data, length)
  local list, at = {}, 1
  while at <= #data do
    local n, from = length(data, at)
    if not n or from + n - 1 > #data then return nil end
    list[#list + 1] = data:sub(from, from + n - 1)
    at = from + n
  end
  return #list % 2 == 0 and list or nil
end

-- symbols looks up the numbers in a string: two bytes, and one or two more where the number is large.
local function symbols(data, table_of)
  local list, at, names = {}, 1, table_of.byNum
  while at + 1 <= #data do
    local low, high = data:byte(at, at + 1)
    local n = low + high * 256
    at = at + 2
    if n >= 0x8000 then
      local b = data:byte(at) or 0
      n, at = n - 0x8000 + (b % 128) * 0x8000, at + 1
      if b >= 128 then n, at = n + (data:byte(at) or 0) * 0x400000, at + 1 end
    end
    list[#list + 1] = names[n]
  end
  return list
end

-- labels gives a labels.Labels as a list of {name, value}, in its own order, which is that of the names.
function prometheus.labels(labels)
  local list = {}
  if not ri.has(labels, "data") then
    for _, label in ri.pairs(labels) do list[#list + 1] = { label.Name, label.Value } end
    return list
  end
  local data, flat = labels.data, nil
  if ri.has(labels, "syms") then
    flat = labels.syms and symbols(data, labels.syms) or {}
  else
    flat = texts(data, marked) or texts(data, varint)
    if not flat then error("labels that can't be read: " .. ri.hex(data:sub(1, 40)), 0) end
  end
  for i = 1, #flat, 2 do list[#list + 1] = { flat[i], flat[i + 1] } end
  return list
end

-- quoted writes a label's value as Prometheus does.
local function quoted(text)
  return '"' .. text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }) .. '"'
end

-- set writes labels as {a="b", c="d"}, those for which keep holds.
function prometheus.set(list, keep)
  local parts = {}
  for _, label in ipairs(list) do
    if keep(label[1]) then parts[#parts + 1] = label[1] .. "=" .. quoted(label[2]) end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

-- label_bytes is what a label takes in n series, as the API reckons it for each kind of labels.Labels.
function prometheus.label_bytes()
  local kind = package .. "model/labels.Labels"
  if not ri.has(kind, "data") then return function(name, value, n) return (#name + 16 + #value + 16) * n end end
  if ri.has(kind, "syms") then return function(name, value, n) return #name + #value + 4 * n end end
  local function sized(text) return #text < 255 and #text + 1 or #text + 4 end
  return function(name, value, n) return (sized(name) + sized(value)) * n end
end

-- error_text is what an error's method Error would say, where that is known; else the value in Go's syntax. holder.field is the place of it.
function prometheus.error_text(holder, field, depth)
  local err = holder[field]
  depth = depth or 0
  if err == nil then return "" end
  if type(err) == "number" then
    local known, text = pcall(function() return ri.var("syscall.errors")[err] end)
    return known and text ~= "" and text or "errno " .. tostring(err)
  end
  if type(err) ~= "userdata" or depth > 20 then return tostring(err) end
  local kind = ri.typeof(err)
  local function inner(name) return prometheus.error_text(err, name, depth + 1) end
  if kind == "*net/url.Error" then return ("%s %s: %s"):format(err.Op, quoted(err.URL), inner("Err")) end
  if kind == "*net.OpError" then
    local text, source, addr = err.Op, err.Source, err.Addr
    if err.Net ~= "" then text = text .. " " .. err.Net end
    if source ~= nil then text = text .. " " .. (netpoll.address(source) or "?") end
    if addr ~= nil then text = text .. (source ~= nil and "->" or " ") .. (netpoll.address(addr) or "?") end
    return text .. ": " .. inner("Err")
  end
  if kind == "*os.SyscallError" then return err.Syscall .. ": " .. inner("Err") end
  if kind == "*net.DNSError" then return "lookup " .. err.Name .. (err.Server ~= "" and " on " .. err.Server or "") .. ": " .. err.Err end
  if kind == "context.deadlineExceededError" then return "context deadline exceeded" end
  if kind:find("poll.DeadlineExceededError", 1, true) then return "i/o timeout" end
  for _, name in ipairs { "msg", "s", "err" } do -- fmt's, errors' and net/http's
    if ri.has(err, name) and type(err[name]) == "string" then return err[name] end
  end
  return ri.dump(ri.ref(holder, field), { oneline = true, depth = 2, bytes = 200 })
end

-- plural counts.
local function plural(n, word) return n == 1 and "1 " .. word or n .. " " .. word .. "s" end

-- some gives the first of a list, and how many more there are.
local function some(list)
  table.sort(list)
  local out = {}
  for i = 1, math.min(#list, 5) do out[i] = list[i] end
  if #list > #out then out[#out + 1] = ("and %d more"):format(#list - #out) end
  return out
end

-- down tells of pools with targets whose last scrape failed.
local function down(manager, out)
  for pool, scrapes in ri.pairs(manager.scrapePools) do
    local failed, all = {}, 0
    for _, target in ri.pairs(scrapes.activeTargets) do
      all = all + 1
      if target.health == "down" then
        local address = "?"
        for _, label in ipairs(prometheus.labels(target.labels)) do
          if label[1] == "__address__" then address = label[2] end
        end
        failed[#failed + 1] = address .. ": " .. prometheus.error_text(target, "lastError")
      end
    end
    if #failed > 0 then
      out[#out + 1] = {
        severity = "warning", what = ("pool %s: %d of %s down"):format(pool, #failed, plural(all, "target")), evidence = some(failed),
        next = "ri run prometheus-targets health=down",
      }
    end
  end
end

-- ill tells of rules whose last evaluation failed.
local function ill(manager, out)
  for _, group in ri.pairs(manager.groups) do
    local failed, all = {}, 0
    for _, rule in ri.pairs(group.rules) do
      all = all + 1
      if prometheus.number(rule, "health") == "err" then
        local known, text = pcall(function() return prometheus.error_text(rule.lastError.v, "Value") end) -- go.uber.org/atomic's Error
        failed[#failed + 1] = rule.name .. (known and ": " .. text or "")
      end
    end
    if #failed > 0 then
      out[#out + 1] = {
        severity = "warning", what = ("group %s: %d of %s failed when they were evaluated last"):format(group.name, #failed, plural(all, "rule")),
        where = group.file, evidence = some(failed), next = "the page /rules says with which error",
      }
    end
  end
end

-- full tells of queues to Alertmanagers that are full.
local function full(manager, out)
  if not ri.has(manager, "alertmanagers") then return end
  for _, set in ri.pairs(manager.alertmanagers) do
    if not ri.has(set, "sendLoops") then return end -- before 3.8 there was one queue
    for url, loop in ri.pairs(set.sendLoops) do
      if #loop.queue > 0 and #loop.queue >= loop.opts.QueueCapacity then
        out[#out + 1] = {
          severity = "critical", what = ("the queue of alerts to %s is full: the oldest are dropped"):format(url),
          evidence = { plural(#loop.queue, "alert") .. " wait" }, next = "is that Alertmanager up, and does it answer?",
        }
      end
    end
  end
end

-- damaged tells of what went wrong with the database since the server was started.
local function damaged(db, out)
  local function counted(metrics, field, what, next)
    local n = ri.has(metrics, field) and prometheus.number(metrics[field], "valInt") or 0
    if ri.cmp(n, 0) > 0 then out[#out + 1] = { severity = "warning", what = what:format(tostring(n)), next = next } end
  end
  counted(db.metrics, "compactionsFailed", "compactions of the database that failed since it was started: %s", "is the disk full? its log says why")
  counted(db.head.metrics, "walCorruptionsTotal", "damage of the write-ahead log that was found, and cut off: %s times", "samples are missing; its log says where")
end

-- What there is to look at: a type of which the server has one, and who tells what is wrong with it.
local parts = { { "scrape.Manager", down }, { "rules.Manager", ill }, { "notifier.Manager", full }, { "tsdb.DB", damaged } }

-- findings tells of what the server's own pages would show in red. A part that it doesn't have, as in agent mode, has nothing wrong with it; one that can't
-- be read is named, if nothing else was found.
function prometheus.findings()
  local out, unread = {}, {}
  for _, part in ipairs(parts) do
    local name, tell = package .. part[1], part[2]
    if pcall(ri.type, name) then
      local found, value = pcall(ri.find1, name)
      if found and value ~= nil then
        local known, why = pcall(tell, value, out)
        if not known then unread[#unread + 1] = part[1] .. ": " .. tostring(why) end
      end
    end
  end
  if #out == 0 and #unread > 0 then return nil, table.concat(unread, "; ") end
  return out
end

return prometheus
