-- Goroutines, those with the same stack together, or as a tree of who started whom.

local words = require("words")

local function at(name, line) return ("%s %s:%d"):format(name, line.file:match("[^/]*$"), line.line) end

-- visible drops the runtime's own frames, as Go's stack traces do, unless there are no others.
local function visible(frames, p)
  if p.runtime then
    while #frames > p.depth do frames[#frames] = nil end
    return frames
  end
  local kept = {}
  for _, f in ipairs(frames) do
    if #kept < p.depth and not f.func:find("^runtime%.[%l_]") then kept[#kept + 1] = f end
  end
  return #kept > 0 and kept or frames
end

local function matches(g, frames, p)
  if p.state ~= "" and not (ri.match(g.status, p.state) or ri.match(g.wait_reason, p.state)) then return false end
  if p.label ~= "" then
    local found = false
    for name, value in pairs(g.labels or {}) do found = found or ri.match(name .. "=" .. value, p.label) end
    if not found then return false end
  end
  if p.func == "" then return true end
  for _, f in ipairs(frames) do
    if ri.match(f.func, p.func) then return true end
  end
  return false
end

-- stacks iterates over goroutines in groups of the same state, stack and labels.
local function stacks(p, depth)
  local list, i = ri.stacks { system = p.system, depth = depth, labels = true, wait = p.wait / 1e9 }, 0
  return function()
    i = i + 1
    return list[i]
  end
end

-- singles gives each goroutine as a group of its own.
local function singles(p, depth)
  local following = ri.goroutines { system = p.system }
  return function()
    local g
    repeat
      g = following()
      if not g then return nil end
    until (g.wait or 0) * 1e9 >= p.wait
    local frames, broken = g:stack(depth)
    return {
      count = 1, ids = { g.id }, status = g.status, wait_reason = g.wait_reason, wait = g.wait, frames = frames, broken = broken,
      labels = g:labels(), goroutine = g,
    }
  end
end

local function state(g) return g.wait_reason ~= "" and g.wait_reason or g.status end

local function joined(labels)
  local parts = {}
  for name, value in pairs(labels or {}) do parts[#parts + 1] = name .. "=" .. value end
  table.sort(parts)
  return #parts > 0 and table.concat(parts, " ") or nil
end

-- add puts a group with others of the same state whose frames are the same as far as they are shown.
local function add(groups, g, lines, key)
  local named = groups.named[ri.token(key)] -- of a recording, keys with labels that weren't kept are among their own
  local group = named[key]
  if not group then
    group = { count = 0, state = state(g), ids = {}, stack = lines, labels = g.labels, waits = g.status == "waiting" }
    groups[#groups + 1], named[key] = group, group
  end
  group.count = group.count + g.count
  for i = 1, math.min(#g.ids, 1000 - #group.ids) do group.ids[#group.ids + 1] = g.ids[i] end
  if g.wait then group.wait = math.max(g.wait, group.wait or 0) end
  return group
end

-- give emits groups, and says how many goroutines they are; again after it was interrupted, the rest of them.
local function give(groups, what)
  local unknown = false
  while groups.given < #groups do
    groups.given = groups.given + 1
    local group = groups[groups.given]
    unknown = unknown or not group.wait and group.waits
    ri.emit {
      count = group.count, state = group.state, wait = group.wait and math.floor(group.wait * 1e9) or nil,
      ids = group.ids, id = groups.single and group.ids[1] or nil, labels = group.labels, stack = group.stack,
    }
  end
  print(words.count(groups.seen, "goroutine") .. ", " .. words.count(#groups, groups.word) .. what)
  if unknown then print("WAIT -: since when isn't known: the runtime notes it when a collection first finds a goroutine waiting") end
end

local function sort(groups)
  if groups.given > 0 then return end
  table.sort(groups, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return ri.cmp(a.ids[1], b.ids[1]) < 0
  end)
end

-- tree gives groups of those that were started by the same go statements, the way down from main: those that it started under each.
local function tree(groups, p)
  local byid, list = {}, {}
  for g in singles(p, 128) do
    byid[g.ids[1]], list[#list + 1] = g, g
  end
  local root = { children = {}, named = {} }
  local function node(g)
    if g.node then return g.node end
    g.node = root -- if the chain leads back into itself
    local parent = byid[g.goroutine.parent or 0]
    local above = parent and node(parent) or root
    local start, creator = g.goroutine.start, g.goroutine.created_by
    local name = at(start.func, start)
    if not parent and creator and not creator.func:find("^runtime%.") then name = name .. " < " .. at(creator.func, creator) end
    local own = above.named[name]
    if not own then
      own = { name = name, children = {}, named = {}, members = {} }
      above.named[name], above.children[#above.children + 1] = own, own
    end
    g.node = own
    return own
  end
  for _, g in ipairs(list) do
    local own = node(g)
    if matches(g, g.frames, p) and own.members then own.members[#own.members + 1] = g end
  end
  local function wanted(n)
    local any = n.members and #n.members > 0
    for _, child in ipairs(n.children) do any = wanted(child) or any end
    n.wanted = any
    return any
  end
  local function walk(n, indent)
    if n.members then
      local group = { count = #n.members, ids = {}, stack = { ("  "):rep(indent) .. n.name } }
      for _, g in ipairs(n.members) do
        group.ids[#group.ids + 1] = #group.ids < 1000 and g.ids[1] or nil
        if group.state and group.state ~= state(g) then group.state = "(several)" else group.state = state(g) end
        if g.wait then group.wait = math.max(g.wait, group.wait or 0) end
        group.waits = group.waits or g.status == "waiting"
        groups.seen = groups.seen + 1
        ri.sample(g.frames, 1, g.labels)
      end
      groups[#groups + 1] = group
    end
    for _, child in ipairs(n.children) do
      if child.wanted then walk(child, n.members and indent + 1 or indent) end
    end
  end
  wanted(root)
  walk(root, 0)
end

-- What a state or a wait reason can be: runtime/runtime2.go of Go 1.20 to 1.27.
local states = {
  "idle", "runnable", "running", "syscall", "waiting", "moribund", "enqueue", "copystack", "preempted", "leaked",
  "dead", "GC assist marking", "IO wait", "chan receive (nil chan)", "chan send (nil chan)", "dumping heap",
  "garbage collection", "garbage collection scan", "panicwait", "select", "select (no cases)", "GC assist wait",
  "GC sweep wait", "GC scavenge wait", "chan receive", "chan send", "finalizer wait", "force gc (idle)",
  "GOMAXPROCS updater (idle)", "semacquire", "sleep", "sync.Cond.Wait", "sync.Mutex.Lock", "sync.RWMutex.RLock",
  "sync.RWMutex.Lock", "sync.WaitGroup.Wait", "trace reader (blocked)", "wait for GC cycle", "GC worker (idle)",
  "GC worker (active)", "debug call", "GC mark termination", "stopping the world", "flushing proc caches",
  "trace goroutine status", "trace proc status", "page trace flush", "coroutine", "GC weak to strong wait",
  "synctest.Run", "synctest.Wait", "chan receive (durable)", "chan send (durable)", "select (durable)",
  "sync.WaitGroup.Wait (durable)", "cleanup wait",
}

return {
  title = "goroutines, grouped by stack, with state and wait",
  category = "go",
  description = [[
Lists the goroutines, those with the same state, stack and labels together, the largest group first; with tree=yes, the functions that were started as
goroutines, each under the one that started it, as far as that is recorded (since Go 1.21) and lives: where it has ended, "<" says where
the go statement is. WAIT is the longest wait in the group, a lower bound: the runtime notes it when the collector first finds the goroutine
waiting, so it is absent until then. A filter is a part of a text or a regular expression.
--pprof FILE writes the same as a profile for go tool pprof, --folded FILE for flame graphs.]],
  needs = { runtime = { "goroutine" } },
  params = {
    { name = "group", type = "bool", default = true, help = "those with the same stack on one row" },
    { name = "tree", type = "bool", default = false, help = "by who started whom" },
    { name = "state", type = "string", values = states, default = "", help = "only this state or wait reason: running, waiting, chan receive, ..." },
    { name = "func", type = "string", default = "", help = "only with such a function on the stack" },
    { name = "label", type = "string", default = "", help = "only with such a pprof label: name=value" },
    { name = "wait", type = "duration", default = "0s", min = 0, help = "only those known to wait for at least so long" },
    { name = "system", type = "bool", default = false, help = "the runtime's own too" },
    { name = "runtime", type = "bool", default = false, help = "the runtime's own frames too" },
    { name = "depth", type = "int", default = 12, min = 1, max = 1000, help = "frames shown and compared" },
  },
  columns = {
    { name = "count", type = "int", help = "goroutines in the group" },
    { name = "state", help = "wait reason, or state of those that don't wait", width = 14, key = true },
    { name = "wait", type = "duration", help = "longest wait known, at least" },
    { name = "ids", help = "goroutines' numbers", width = 10 },
    { name = "id", type = "int", help = "the goroutine's number, where it stands alone (group=no)", hidden = true, key = "alone" },
    { name = "labels", help = "pprof labels; tables have them below the stack", hidden = true, key = true },
    { name = "stack", help = "innermost frame first", cut = "left", key = true },
  },
  profile = { { type = "goroutine", unit = "count" } },
  sample = [[
COUNT  STATE           WAIT   IDS          STACK
    8  sync.Cond.Wait  3m20s  20, 21, ...  sync.(*Cond).Wait cond.go:71
                                           main.(*Handler).run handler.go:132
    1  IO wait         -      34           internal/poll.(*FD).Accept fd_unix.go:613]],
  run = function(p)
    local groups = {
      seen = 0, given = 0, word = p.tree and "place" or "stack", single = not p.group and not p.tree,
      named = { [true] = {}, [false] = {} },
    }
    ri.atlimit(function()
      sort(groups)
      give(groups, ", so far")
    end)
    if p.tree then
      tree(groups, p)
    else
      for g in (p.group and stacks or singles)(p, math.max(p.depth + 16, 128)) do
        local frames = visible(g.frames, p)
        if matches(g, frames, p) then
          local lines = {}
          for i, f in ipairs(frames) do lines[i] = at(f.func, f) end
          if g.broken then lines[#lines + 1] = "(" .. g.broken .. ")" end
          groups.seen = groups.seen + g.count
          local labels = joined(g.labels)
          if labels then lines[#lines + 1] = "labels " .. labels end
          add(groups, g, lines, p.group and state(g) .. "\n" .. table.concat(lines, "\n") or #groups + 1)
          ri.sample(g.frames, g.count, g.labels)
        end
      end
      sort(groups)
    end
    give(groups, "")
  end,
}
