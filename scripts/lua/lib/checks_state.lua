--- The checks of `ri check` that compare looks: leaks, growth, the collector, the memory limit, threads.

local holders = require("checks_holders")
local livelock = require("livelock")
local locks = require("checks_locks")
local waits = require("waits")
local runtime = require("runtime")
local words = require("words")
local spinning = require("checks_spinning")
local stopped = require("checks_stopped")

-- How often, and for how long in all, running goroutines are looked for between the two looks.
local samples = 10

-- From how many seconds between the looks on the heap is looked at twice, and what growth counts: of the live objects of one type.
local worth, most_bytes, share = 5, 4 * 2 ^ 20, 1.25

-- From how many seconds between the looks on it is a leak's growth, too, where more goroutines are ready to run than get to it.
local patient = 10

-- sizes gives the live bytes of each type.
local function sizes(heap)
  local out = {}
  for t in heap:types() do out[t.type] = { bytes = t.bytes, count = t.count } end
  return out
end

-- key tells groups of goroutines apart that come from the same place and wait at the same place.
local function key(g)
  local frame = locks.frame(g)
  return (g.created_by and g.created_by.func .. ":" .. g.created_by.line or "?") .. "\n" .. g.status .. g.wait_reason .. "\n"
    .. (frame and frame.func .. ":" .. frame.line or "?")
end

-- counts gives how many goroutines there are of each kind.
local function counts(groups)
  local out = {}
  for _, g in ipairs(groups) do
    local k = key(g)
    local c = out[k] or { count = 0, groups = {} }
    out[k] = c
    c.count = c.count + g.count
    c.groups[#c.groups + 1] = g
    if g.wait then c.wait = math.max(c.wait or 0, g.wait) end
  end
  return out
end

-- ready gives how many goroutines of a look are ready to run, and have no CPU.
local function ready(kinds)
  local n = 0
  for _, c in pairs(kinds) do
    if c.groups[1].status == "runnable" then n = n + c.count end
  end
  return n
end

-- read_meter reads what the collector has counted.
local function read_meter()
  local work = ri.var "runtime.work"
  local out = { cycles = ri.var "runtime.memstats".numgc, phase = ri.var "runtime.gcphase", now = runtime.nanotime() }
  if runtime.has(work, "cpuStats") then
    local cpu = work.cpuStats
    local fields = { "gcTotalTime", "GCTotalTime" }
    out.gc = runtime.first(cpu, unpack(fields))
    out.idle = runtime.first(cpu, "idleTime", "IdleTime")
    out.gcidle = runtime.first(cpu, "gcIdleTime", "GCIdleTime")
    out.total = runtime.first(cpu, "totalTime", "TotalTime")
  end
  return out
end

-- meter notes what the collector has counted, or why it can't be read: a recording need not have numbers.
local function meter(l, i)
  local ok, counted = pcall(read_meter)
  if ok then
    l.meters[i] = counted
  else
    l.nometers = counted
  end
end

-- needs_heap tells whether a look needs the heap for these checks.
local function needs_heap(l) return l.wanted["heap-growth"] and l.second and l.seconds >= worth end

--- Notes what the checks compare, in the first look.
-- @param l table, the look
local function first(l)
  l.meters = {}
  meter(l, 1)
  l.kinds = { counts(l.groups) }
  if l.heap and needs_heap(l) then l.sizes = sizes(l.heap) end
end

--- Looks at the heap a second time, with a second copy.
-- @param l table, the look
local function again(l)
  l.grown = {}
  local before = l.sizes
  if not before then return end
  local copied, heap, why = pcall(ri.again, 0)
  if copied then
    heap, why = ri.heap { optional = true }
  else
    why = heap
  end
  if not heap then
    l.nogrowth = why
    return
  end
  for name, now in pairs(sizes(heap)) do
    local was = before[name] or { bytes = 0, count = 0 }
    if now.bytes - was.bytes >= most_bytes and now.bytes >= was.bytes * share then
      l.grown[#l.grown + 1] = { type = name, now = now, was = was }
    end
  end
  table.sort(l.grown, function(a, b) return a.now.bytes - a.was.bytes > b.now.bytes - b.was.bytes end)
  while #l.grown > 3 do l.grown[#l.grown] = nil end
  for _, g in ipairs(l.grown) do
    local ok, holders = pcall(heap.retainers, heap, g.type)
    if ok and holders[1] then
      g.holder = holders[1]
      local path = heap:path(g.holder.example)
      g.path = path and path.text
    end
  end
  ri.again(0, "live")
end

--- Looks between the first look and the second, without a stop where no goroutine runs all the time.
-- @param l table, the look
local function between(l)
  for i = 1, samples do
    local ok, why = pcall(spinning.sample, l, i, samples) -- which takes its share of the time first
    if not ok then l.nostacks = why end
    pcall(holders.sample, l, i, samples)
    pcall(stopped.sample, l)
    pcall(livelock.sample, l)
    if i == samples / 2 or i == samples then
      l.kinds[#l.kinds + 1] = counts(ri.stacks())
    end
  end
  pcall(livelock.finish, l)
  meter(l, 2)
  pcall(spinning.finish, l)
  again(l)
end

local function growth(l)
  if not l.second or l.seconds < worth then return nil, ("it needs two looks, at least %d s apart: --interval 30s"):format(worth) end
  if not l.heap then return nil, l.noheap, true end
  if l.nogrowth then return nil, l.nogrowth, true end
  local out = {}
  for _, g in ipairs(l.grown) do
    out[#out + 1] = {
      severity = "warning",
      what = ("the heap grows: %s more of %s in %s, all of it reachable"):format(words.bytes(g.now.bytes - g.was.bytes), g.type, ri.duration(l.params.interval)),
      where = g.path, evidence = {
        ("%s: %s in %d objects, then %s in %d"):format(g.type, words.bytes(g.was.bytes), g.was.count, words.bytes(g.now.bytes), g.now.count),
        g.holder and ("%s of it held by %s%s"):format(words.bytes(g.holder.bytes), g.holder.root, g.holder.holder and ", through " .. g.holder.holder or "") or nil,
        "suspected, not certain: it may be a cache that fills",
      },
      next = ("ri run heap retainers='%s'; what should take them out again?"):format(g.type),
    }
  end
  return out
end

-- sleeps tells whether a goroutine sleeps and will soon go on by itself. A program that has no CPU for a while wakes nobody, and is none that leaks.
local function sleeps(l, g)
  if g.wait_reason ~= "sleep" then return false end
  local now, soon = runtime.nanotime(), math.max(10, 10 * l.seconds) * 1e9
  for i = 1, math.min(#g.ids, 20) do
    local ok, when = pcall(function() return ri.at(ri.goroutine(g.ids[i]).addr, "runtime.g").timer.when end)
    if ok and when and when - now > soon then return false end
  end
  return true
end

local function leaks(l)
  if not l.second then return nil, "it needs two looks: --interval 10s, of a running process" end
  local out = {}
  local crowd = math.max(ready(l.kinds[2]), ready(l.kinds[3]))
  local known, procs = pcall(ri.var, "runtime.gomaxprocs")
  local overloaded = l.seconds < patient and known and crowd >= 4 * procs
  local a, b, c = l.kinds[1], l.kinds[2], l.kinds[3]
  for k, was in pairs(a) do
    local mid, now = b[k], c[k]
    local g = was.groups[1]
    if mid and now and g.status == "waiting" and g.wait_reason ~= "IO wait" and not was.groups[1].told then
      local grew = now.count - was.count
      local steady = mid.count > was.count and now.count > mid.count and was.count >= 5 and grew >= 5
      local stay, seen = true, 0
      for _, group in ipairs(was.groups) do
        for _, id in ipairs(group.ids) do
          if stay and seen < 1000 then
            seen = seen + 1
            stay = l.still(id) and not l.never(id)
          end
        end
      end
      if steady and stay and overloaded then
        return nil, ("more goroutines come to wait, but %d are ready to run and have no CPU, for which they may wait: --interval 30s"):format(crowd)
      elseif steady and stay and not sleeps(l, g) then
        local frame = locks.frame(g)
        out[#out + 1] = {
          severity = "warning",
          what = ("goroutine leak suspected: %d goroutines wait in the same place, %d more than %s ago, and none of them has gone on"):format(now.count, grew, ri.duration(l.params.interval)),
          where = frame and ("%s (%s)"):format(frame.func, waits.short(frame)) or nil,
          evidence = {
            ("%s: %d, then %d, then %d"):format(g.wait_reason, was.count, mid.count, now.count),
            g.created_by and ("created by %s at %s"):format(g.created_by.func, waits.short(g.created_by)) or "where they were created is not recorded",
            was.wait and ("the longest waits for at least %s"):format(ri.duration(math.floor(was.wait * 1000) * 1000000)) or "ages are not recorded: no collection has found them waiting yet",
            "goroutines " .. locks.list(g.ids),
            "suspected, not certain: they may be wanted, and go on later",
          },
          goroutines = g.ids, next = "look again with a longer --interval; what should end them?",
        }
      end
    end
  end
  table.sort(out, function(x, y) return x.what > y.what end)
  return out
end

local function collector(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  local a, b = l.meters[1], l.meters[2]
  if not (a and b) then error(l.nometers, 0) end
  local cycles = b.cycles - a.cycles
  local seconds = (b.now - a.now) / 1e9
  local out = {}
  local share
  if a.total and b.total and b.total > a.total then
    -- What idle Ps marked would not have been done by anybody else.
    share = (b.gc - a.gc - ((b.gcidle or 0) - (a.gcidle or 0))) / (b.total - a.total)
  end
  if cycles >= 3 and share and share >= 0.25 and not spinning.allocates(l) then -- else it is what the spin leads to
    out[1] = {
      severity = "warning", what = ("the collector runs all the time: %d cycles in %s, %.0f %% of all CPU time"):format(cycles, ri.duration(math.floor(seconds * 100) * 10000000), 100 * share),
      where = "runtime", evidence = {
        ("%.0f cycles a second; share of the CPU time of all Ps, without what idle ones did"):format(cycles / seconds),
        ("since the start: %.1f %%"):format(100 * ri.var "runtime.memstats".gc_cpu_fraction),
      },
      next = "ri run gc: is GOGC low, or a memory limit reached? ri run heap: what is allocated?",
    }
  end
  return out
end

local function limit()
  local c = ri.var "runtime.gcController"
  if not runtime.has(c, "memoryLimit") or ri.cmp(c.memoryLimit, 2 ^ 62) > 0 then return {} end
  local limiter = runtime.var "runtime.gcCPULimiter"
  local limited = limiter and limiter.enabled
  local used = c.mappedReady / c.memoryLimit
  local live = c.heapMarked / c.memoryLimit
  if not (limited or used >= 0.95 and live >= 0.7) then return {} end
  return { {
    severity = "warning", what = ("memory limit reached: %s of %s (GOMEMLIMIT)"):format(words.bytes(c.mappedReady), words.bytes(c.memoryLimit)),
    where = "runtime", evidence = {
      ("the last collection found %s alive, %.0f %% of the limit"):format(words.bytes(c.heapMarked), 100 * live),
      limited and "the collector is held back, to leave half of the CPU time to the program: the limit will be passed" or "the collector runs more often the closer the heap comes to the limit",
    },
    next = "ri run heap: what is alive? or raise GOMEMLIMIT",
  } }
end

local function threads(l)
  local n, groups = 0, {}
  for _, g in ipairs(l.groups) do
    if g.status == "syscall" then
      local stay = 0
      for _, id in ipairs(g.ids) do
        if l.still(id) then stay = stay + 1 end
      end
      if stay > 0 then
        n = n + stay
        groups[#groups + 1] = { g = g, n = stay }
      end
    end
  end
  if n < 100 then return {} end
  table.sort(groups, function(a, b) return a.n > b.n end)
  local g = groups[1].g
  local frame = locks.frame(g)
  return { {
    severity = "warning", what = ("too many threads: %d are blocked in system calls or C"):format(n),
    where = frame and ("%s (%s)"):format(frame.func, waits.short(frame)) or nil,
    evidence = {
      ("%d of them in the same place, such as goroutines %s; %s"):format(groups[1].n, locks.list(g.ids), l.waited(g.ids[1])),
      locks.created(l, g.ids[1]),
      "each takes a thread of the system for itself; the program dies at 10,000",
    },
    goroutines = g.ids, next = "limit how many run at once (a semaphore), or give them a deadline",
  } }
end

return {
  { name = "goroutine-leak", run = leaks },
  { name = "heap-growth", run = growth },
  spinning[1],
  { name = "collector", run = collector },
  { name = "memory-limit", run = limit },
  { name = "threads", run = threads },
  first = first, between = between, needs_heap = needs_heap,
}
