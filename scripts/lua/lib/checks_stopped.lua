--- The check of `ri check` for a stop of the world that never comes: one goroutine can't be preempted, and all others stand still meanwhile. Or the
-- timers do that belong to its P.
--
-- The runtime stops all Ps for some steps of a collection, for statistics, profiles and traces. A goroutine gives way where it calls a function, or
-- where a signal finds it in code that may be interrupted. Assembler may not, and nothing may with GODEBUG=asyncpreemptoff=1. That a stop takes
-- longer than it should is told by several looks: the world was being stopped in each, and the same goroutine still ran (runtime/proc.go,
-- stopTheWorldWithSema and forEachP; runtime/preempt.go, suspendG; Go 1.20 to 1.27).

local locks = require("checks_locks")
local runtime = require("runtime")
local waits = require("waits")
local words = require("words")

local stopped = {}

-- Of a P's states (runtime/runtime2.go).
local running, gcstop = 1, 3

-- What sched.stopwait is while a fatal error is told (runtime.freezeStopWait): nobody waits then.
local freezing = 0x7fffffff

-- For how long a goroutine has to have run when there is one look only, in nanoseconds.
local long = 1e9

-- Who asks for a stop, by a function on the stack: what for. The innermost that is known counts.
local reasons = {
  ["runtime.gcStart"] = "a collection", ["runtime.gcMarkDone"] = "a collection", ["runtime.gcMarkTermination"] = "a collection",
  ["runtime.ReadMemStats"] = "ReadMemStats", ["runtime.readMemStats_m"] = "ReadMemStats",
  ["runtime.goroutineProfileWithLabelsConcurrent"] = "a profile of goroutines", ["runtime.goroutineProfileWithLabelsSync"] = "a profile of goroutines",
  ["runtime.goroutineProfileWithLabels"] = "a profile of goroutines", ["runtime.GoroutineProfile"] = "a profile of goroutines",
  ["runtime.Stack"] = "a dump of all stacks", ["runtime.StartTrace"] = "an execution trace", ["runtime.StopTrace"] = "an execution trace",
  ["runtime.startTrace"] = "an execution trace", ["runtime.traceAdvance"] = "an execution trace",
  ["runtime.GOMAXPROCS"] = "GOMAXPROCS", ["runtime/debug.setGCPercent"] = "SetGCPercent", ["runtime/debug.setMemoryLimit"] = "SetMemoryLimit",
  ["runtime/debug.WriteHeapDump"] = "a heap dump", ["runtime/debug.SetGCPercent"] = "SetGCPercent", ["runtime/debug.SetMemoryLimit"] = "SetMemoryLimit",
}

-- Functions in which a goroutine waits for the world to be stopped, or for its turn to stop it.
local stopping = { "^runtime%.stopTheWorld", "^runtime%.gcStart$", "^runtime%.gcMarkDone$", "^runtime%.gcMarkTermination$", "^runtime%.forEachP" }

-- whole makes a number of what may be an atomic value.
local function number(v)
  if type(v) == "boolean" then return v and 1 or 0 end
  return tonumber(v) or 0
end

-- since is for how long the runtime's monitor has seen a P run the same goroutine.
local function since(p, now)
  local seen = p.sysmontick
  if seen.schedtick ~= p.schedtick or seen.schedwhen == 0 then return nil end
  return now - seen.schedwhen
end

-- overdue is for how long the first timer of a P has been due, in nanoseconds; nil where none is, or that can't be read. Other Ps look after it when
-- they have nothing to do (runtime/time.go, Go 1.20 to 1.27).
local function overdue(p, now)
  local ok, when = pcall(function() return runtime.has(p, "timer0When") and p.timer0When or p.timers.minWhenHeap end)
  when = ok and number(when) or 0
  return when > 0 and when < now and now - when or nil
end

-- look gives whom a stop waits for, by P: the goroutine, and what is asked of it; nil where none is being asked for.
local function look()
  local sched = ri.var "runtime.sched"
  local wait = number(sched.stopwait)
  local world = number(sched.gcwaiting) ~= 0 and wait > 0 and wait ~= freezing
  local now = runtime.nanotime()
  local out = {}
  for p in runtime.processors() do
    local m = p.status == running and runtime.at(p.m, "runtime.m") or nil
    local g = m and runtime.at(m.curg, "runtime.g") or nil
    if g then
      local kind = world and "world" or runtime.has(p, "runSafePointFn") and number(p.runSafePointFn) ~= 0 and "safe point" or
        runtime.has(g, "preemptStop") and g.preemptStop and "stack" or nil
      local late, run = overdue(p, now), since(p, now)
      if not kind and late and late > long and run and run > long then kind = "timers" end
      if kind then out[p.id] = { id = g.goid, addr = ri.addr(g), tick = p.schedtick, kind = kind, since = run, late = late } end
    end
  end
  return out
end

-- same tells whether one look saw what another did.
local function same(a, b) return b and a.id == b.id and a.tick == b.tick and a.kind == b.kind end

--- Looks at once, and notes what there is.
-- @param l table, the look of the check
function stopped.first(l)
  l.stops, l.stops_seen, l.stops_since = look(), 1, runtime.nanotime()
  if l.second then return end
  for id, one in pairs(l.stops) do
    if not one.since or one.since < long then l.stops[id] = nil end
  end
end

--- Looks again, while the process runs: what isn't there any more is forgotten.
-- @param l table, the look of the check
function stopped.sample(l)
  if not l.stops or next(l.stops) == nil then return end
  local now = look()
  for id, one in pairs(l.stops) do
    if same(one, now[id]) then one.since, one.late = now[id].since, now[id].late else l.stops[id] = nil end
  end
  l.stops_seen, l.stops_last = l.stops_seen + 1, runtime.nanotime()
end

-- What stands still while a stop doesn't come. Of a safe point all Ps may be kept, by who waits for it and by whom it waits for; a mark that doesn't
-- end keeps those that allocate, and timers that don't come keep all who wait for one, and who waits for those.
local still = {
  world = "all goroutines stand still: who waits may only wait for that",
  ["safe point"] = "the collector can't go on: who waits may only wait for that",
  stack = "the collector can't go on: who waits may only wait for that",
  timers = "timers don't come: who waits may only wait for one",
}

--- Why goroutines may stand still that have nothing wrong with them, once all looks are done.
-- @param l table, the look of the check
-- @return string|nil
function stopped.frozen(l)
  for _, kind in ipairs { "world", "safe point", "stack", "timers" } do
    for _, one in pairs(l.stops or {}) do
      if one.kind == kind then return still[kind] end
    end
  end
  return nil
end

-- stack gives a goroutine's frames: those of the first look, or those of a stop where it has none.
local function stack(l, one)
  local g = l.state[one.id]
  if g and #g.frames > 0 then return g end
  if not l.second or not pcall(ri.again, 0, "stopped") then return nil end
  local ok, found = pcall(function()
    local g = ri.goroutine(one.id, one.addr)
    return g and { frames = ri.stack(g, 64), created_by = g.created_by }
  end)
  ri.again(0, "live")
  return ok and found or nil
end

-- askers gives those who wait for the world to be stopped, and what for: the one that stops it first.
local function askers(l)
  local out = {}
  for _, g in ipairs(l.groups) do
    local what, waits_for_it
    for _, f in ipairs(g.frames) do
      for _, pattern in ipairs(stopping) do waits_for_it = waits_for_it or f.func:find(pattern) ~= nil end
      what = what or reasons[f.func]
    end
    if waits_for_it then
      for _, id in ipairs(g.ids) do out[#out + 1] = { id = id, what = what, first = g.wait_reason ~= "semacquire", group = g } end
    end
  end
  table.sort(out, function(a, b)
    if a.first ~= b.first then return a.first end
    return ri.cmp(a.id, b.id) < 0
  end)
  return out
end

-- called names who called for a stop: the function below the runtime's own, and the program's own.
local function called(g)
  for i, f in ipairs(g.frames) do
    if not f.func:find("^runtime[%./]") then
      local entry = g.frames[i - 1]
      local own = locks.frame(g)
      return ("%s, in %s (%s)"):format(entry and entry.func or f.func, own.func, waits.short(own))
    end
  end
  return g.frames[1] and g.frames[1].func or "?"
end

-- why says what keeps a goroutine from being preempted, as far as that is known.
local function why(frame)
  local debug = runtime.var "runtime.debug"
  if debug and runtime.has(debug, "asyncpreemptoff") and debug.asyncpreemptoff ~= 0 then
    return "GODEBUG=asyncpreemptoff=1: a goroutine gives way where it calls a function, and in a loop without calls nowhere"
  elseif frame and frame.file:find("%.s$") then
    return "it is in assembler, which can't be interrupted"
  end
  return "the code that it is in can't be interrupted, or the thread that it runs on doesn't get a processor"
end

local collector = "the collector can't go on: it waits for a goroutine that can't be preempted"

local phrases = {
  world = { "all goroutines stand still: a stop of the world%s waits for one that can't be preempted", "the world was being stopped" },
  ["safe point"] = { collector, "each processor was to come to a safe point" },
  stack = { collector, "the goroutine's stack was to be scanned" },
  timers = { "timers don't come: a goroutine that can't be preempted keeps the processor (P) to which they belong",
    "a timer was due that didn't come" },
}

local function finding(l, id, one, asked, held)
  local g = stack(l, one)
  local frame = locks.frame(g)
  local asker = asked[1]
  local timers = one.kind == "timers"
  if timers then asked, asker = {}, nil end
  local evidence = {
    ("in %s%s %s, and P %s still ran goroutine %s"):format(words.count(l.stops_seen, "look"),
      l.stops_last and (" over %s"):format(words.duration(math.max(0, l.stops_last - l.stops_since))) or "", phrases[one.kind][2], tostring(id), tostring(one.id)),
    one.since and one.since > 0 and ("it has run without a break for at least %s"):format(words.duration(math.floor(one.since / 1e6) * 1e6)) or nil,
  }
  if timers then evidence[#evidence + 1] = ("the first timer of P %s has been due for %s"):format(tostring(id), words.duration(math.floor(one.late / 1e6) * 1e6)) end
  if asker then evidence[#evidence + 1] = ("goroutine %s asked for it: %s"):format(tostring(asker.id), called(asker.group)) end
  if #asked > 1 then
    evidence[#evidence + 1] = ("%s for a stop of the world, too: goroutines %s"):format(#asked == 2 and "another one waits" or #asked - 1 .. " others wait", held.others)
  end
  if one.kind == "world" and held.ready > 0 then evidence[#evidence + 1] = ("%s ready to run, and can't"):format(words.count(held.ready, "goroutine") .. (held.ready == 1 and " is" or " are")) end
  evidence[#evidence + 1] = why(g and g.frames[1])
  if g and g.created_by then evidence[#evidence + 1] = ("created by %s at %s"):format(g.created_by.func, waits.short(g.created_by)) end
  l.told[one.id] = true
  return {
    severity = timers and "warning" or "critical", what = phrases[one.kind][1]:format(asker and asker.what and (" (%s)"):format(asker.what) or ""),
    where = frame and ("goroutine %s in %s (%s)"):format(tostring(one.id), frame.func, waits.short(frame)) or "goroutine " .. tostring(one.id),
    evidence = evidence, goroutines = { one.id }, waiters = not timers and #held.ids > 0 and held.ids or nil,
    next = "have that loop call a function now and then, or end; ri run scheduler shows all processors",
  }
end

local function find(l)
  if not l.stops then return nil, "what the scheduler does can't be read", true end
  if next(l.stops) == nil then return {} end
  local asked = askers(l)
  local held = { ids = {}, ready = 0 }
  for _, a in ipairs(asked) do held.ids[#held.ids + 1] = a.id end
  held.others = locks.list({ unpack(held.ids, 2) })
  for _, g in ipairs(l.groups) do
    if g.status == "runnable" then held.ready = held.ready + g.count end
  end
  local ids, out = {}, {}
  for id in pairs(l.stops) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do out[#out + 1] = finding(l, id, l.stops[id], asked, held) end
  return out
end

stopped[1] = { name = "stop-the-world", run = find }

return stopped
