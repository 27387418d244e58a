-- Goroutines, those with the same stack together.

local words = require("words")

local function where(frame) return ("%s %s:%d"):format(frame.func, frame.file:match("[^/]*$"), frame.line) end

-- visible drops the runtime's own frames, as Go's stack traces do, unless there are no others.
local function visible(frames, most)
  local kept = {}
  for _, f in ipairs(frames) do
    if #kept < most and not f.func:find("^runtime%.[%l_]") then kept[#kept + 1] = f end
  end
  return #kept > 0 and kept or frames
end

local function matches(g, frames, p)
  if p.state ~= "" and g.status ~= p.state and g.wait_reason ~= p.state then return false end
  if p.func == "" then return true end
  for _, f in ipairs(frames) do
    if f.func:find(p.func, 1, true) then return true end
  end
  return false
end

-- stacks iterates over goroutines in groups of the same state and stack.
local function stacks(p, depth)
  local list, i = ri.stacks { system = p.system, depth = depth }, 0
  return function()
    i = i + 1
    return list[i]
  end
end

-- singles gives each goroutine as a group of its own.
local function singles(p, depth)
  local following = ri.goroutines { system = p.system }
  return function()
    local g = following()
    if not g then return nil end
    local frames, broken = g:stack(depth)
    return { count = 1, ids = { g.id }, status = g.status, wait_reason = g.wait_reason, wait = g.wait, frames = frames, broken = broken }
  end
end

-- add puts a group with others of the same state whose frames are the same as far as they are shown.
local function add(groups, g, lines, grouped)
  local state = g.wait_reason ~= "" and g.wait_reason or g.status
  local key = grouped and state .. "\n" .. table.concat(lines, "\n") or #groups + 1
  local group = groups[key]
  if not group then
    group = { count = 0, state = state, ids = {}, stack = lines }
    groups[#groups + 1] = group
    if grouped then groups[key] = group end
  end
  group.count = group.count + g.count
  for i = 1, math.min(#g.ids, 1000 - #group.ids) do group.ids[#group.ids + 1] = g.ids[i] end
  if g.wait then group.wait = math.max(g.wait, group.wait or 0) end
end

-- give emits the groups, the largest first, and says how many goroutines they are; again after it was interrupted, the rest of them.
local function give(groups, what)
  if groups.given == 0 then
    table.sort(groups, function(a, b)
      if a.count ~= b.count then return a.count > b.count end
      return ri.cmp(a.ids[1], b.ids[1]) < 0
    end)
  end
  while groups.given < #groups do
    groups.given = groups.given + 1
    local group = groups[groups.given]
    ri.emit {
      count = group.count, state = group.state, wait = group.wait and math.floor(group.wait * 1e9) or nil,
      ids = group.ids, stack = group.stack,
    }
  end
  print(words.count(groups.seen, "goroutine") .. ", " .. words.count(#groups, "stack") .. what)
end

return {
  title = "goroutines, grouped by stack, with state and wait",
  category = "go",
  description = [[
Lists the goroutines, those with the same state and stack together, the largest group first. WAIT is the longest wait in the
group, a lower bound: the runtime notes it when the collector first finds the goroutine waiting, so it is
absent until then.]],
  needs = { vars = { "runtime.allgs" } },
  params = {
    { name = "group", type = "bool", default = true, help = "those with the same stack on one row" },
    { name = "state", type = "string", default = "", help = "only this state or wait reason: running, waiting, chan receive, ..." },
    { name = "func", type = "string", default = "", help = "only with a function on the stack whose name contains this" },
    { name = "system", type = "bool", default = false, help = "the runtime's own too" },
    { name = "runtime", type = "bool", default = false, help = "the runtime's own frames too" },
    { name = "depth", type = "int", default = 12, min = 1, max = 1000, help = "frames shown and compared" },
  },
  columns = {
    { name = "count", type = "int", help = "goroutines in the group" },
    { name = "state", help = "wait reason, or state of those that don't wait" },
    { name = "wait", type = "duration", help = "longest wait known, at least" },
    { name = "ids", help = "goroutines' numbers", width = 24 },
    { name = "stack", help = "innermost frame first" },
  },
  sample = [[
COUNT  STATE           WAIT   IDS          STACK
    8  sync.Cond.Wait  3m20s  20, 21, ...  sync.(*Cond).Wait cond.go:71
                                           main.(*Handler).run handler.go:132
    1  IO wait         -      34           internal/poll.(*FD).Accept fd_unix.go:613]],
  run = function(p)
    local groups = { seen = 0, given = 0 }
    ri.atlimit(function() give(groups, ", so far") end)
    local depth = p.runtime and p.depth or p.depth + 16
    for g in (p.group and stacks or singles)(p, depth) do
      local frames = g.frames
      if p.runtime then
        while #frames > p.depth do frames[#frames] = nil end
      else
        frames = visible(frames, p.depth)
      end
      if matches(g, frames, p) then
        local lines = {}
        for i, f in ipairs(frames) do lines[i] = where(f) end
        if g.broken then lines[#lines + 1] = "(" .. g.broken .. ")" end
        groups.seen = groups.seen + g.count
        add(groups, g, lines, p.group)
      end
    end
    give(groups, "")
  end,
}
