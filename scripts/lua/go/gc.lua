-- The garbage collector: what it does now, what it did, when it starts next.

local runtime = require 'runtime'
local words = require 'words'

local phases = { [0] = 'off', 'mark', 'mark termination' } -- runtime/mgc.go

-- The heap at which the next cycle is to end, as (*gcControllerState).heapGoalInternal has it (runtime/mgcpacer.go, Go 1.20 to 1.27).
local function limitgoal(c)
  local limit = c.memoryLimit
  if ri.cmp(limit, 2 ^ 62) > 0 then return nil end -- there is none
  local alloc = c.totalAlloc - c.totalFree
  local nonheap = c.mappedReady - c.heapFree - alloc
  local over = math.max(c.mappedReady - limit, 0)
  if nonheap + over >= limit then return c.heapMarked end
  local goal = limit - (nonheap + over)
  local headroom = math.max(math.floor(goal / 100) * 3, 2 ^ 20)
  if goal < headroom or goal - headroom < headroom then goal = headroom else goal = goal - headroom end
  return math.max(goal, c.heapMarked)
end

local function goal(c)
  local byheap, bylimit = c.gcPercentHeapGoal, limitgoal(c)
  if bylimit and ri.cmp(bylimit, byheap) < 0 then return bylimit, 'the memory limit' end
  if ri.cmp(byheap, 2 ^ 62) > 0 then return nil, 'GOGC=off' end
  byheap = math.max(byheap, c.sweepDistMinTrigger)
  if ri.cmp(c.triggered, 2 ^ 62) < 0 then byheap = math.max(byheap, c.triggered + 65536) end
  return byheap, 'GOGC'
end

local function count(queue)
  local n = 0
  for _ in runtime.queue(queue) do n = n + 1 end
  return n
end

local function ago(unixnano)
  if not ri.nanotime() then return nil end -- of a core nobody knows now
  return words.duration(math.max(0, math.floor(ri.now() * 1e9 - unixnano))) .. ' ago'
end

return {
  title = "garbage collector: phase, cycles, goal, pauses",
  category = "go",
  description = [[
What the garbage collector does now, how the heap stands to the goal at which the next cycle ends, and the last pauses (when the world was stopped). The numbers are
those of runtime.ReadMemStats and runtime/metrics. The heap's live size is the collector's own estimate: what the last cycle marked and what was allocated since.]],
  needs = {
    vars = { "runtime.memstats", "runtime.gcController", "runtime.work", "runtime.gcphase" },
    fields = {
      "runtime.gcControllerState.totalAlloc", "runtime.gcControllerState.totalFree", "runtime.gcControllerState.triggered",
      "runtime.gcControllerState.gcPercentHeapGoal", "runtime.gcControllerState.sweepDistMinTrigger",
      "runtime.gcControllerState.heapLive", "runtime.gcControllerState.heapMarked",
      "runtime.gcControllerState.heapInUse", "runtime.gcControllerState.heapFree",
      "runtime.gcControllerState.heapReleased", "runtime.gcControllerState.mappedReady",
      "runtime.gcControllerState.gcPercent", "runtime.gcControllerState.memoryLimit",
      "runtime.gcControllerState.assistTime", "runtime.mstats.numgc", "runtime.mstats.numforcedgc",
      "runtime.mstats.last_gc_unix", "runtime.mstats.gc_cpu_fraction", "runtime.mstats.pause_total_ns",
      "runtime.mstats.pause_ns", "runtime.mstats.pause_end"
    },
  },
  params = {
    { name = "pauses", type = "int", default = 5, min = 0, max = 256, help = "show so many of the last cycles' pauses" },
  },
  columns = {
    { name = "name", help = "what", key = true },
    { name = "value", help = "as people read it", align = "right" },
    { name = "number", help = "the same in bytes, nanoseconds, percent or pieces", hidden = true },
    { name = "about", help = "what it means, or when it was" },
    { name = "cycle", type = "int", help = "of a pause, the number of its collection", hidden = true, key = true },
  },
  sample = [[
NAME              VALUE  ABOUT
phase               off  since the last cycle
cycles              312  2 of them forced by runtime.GC
last cycle     1.2s ago  -
goal           45.1 MiB  the heap at which the next cycle ends, by GOGC
heap live      31.0 MiB  69 % of the goal
GOGC                100  -
cpu fraction     0.41 %  of the CPU time since the start
pause             113us  1.2s ago]],
  run = function(p)
    local stats, c, work = ri.var 'runtime.memstats', ri.var 'runtime.gcController', ri.var 'runtime.work'
    local function row(name, value, number, about, cycle) ri.emit { name = name, value = value, number = number, about = about, cycle = cycle } end
    local function bytes(name, n, about) row(name, words.bytes(n), n, about) end
    local function time(name, n, about, cycle) row(name, words.duration(n), n, about, cycle) end

    local phase = ri.var 'runtime.gcphase'
    local now = runtime.nanotime()
    if phase == 0 then
      row('phase', 'off', 0, 'no cycle is under way')
    else
      row('phase', phases[phase] or tostring(phase), phase, ('for %s'):format(ri.duration(math.max(0, now - work.tSweepTerm))))
      row('assists waiting', tostring(count(work.assistQueue.q)), count(work.assistQueue.q), 'goroutines that allocated and wait until others have marked')
      time('assist time', math.max(0, c.assistTime), 'spent by goroutines that allocate, in this cycle')
    end
    row('cycles', tostring(stats.numgc), stats.numgc, ('%d of them forced by runtime.GC'):format(stats.numforcedgc))
    if stats.last_gc_unix ~= 0 then
      row('last cycle', ago(ri.float(stats.last_gc_unix)) or os.date('!%H:%M:%S', stats.last_gc_unix / 1e9), stats.last_gc_unix)
    end
    local target, by = goal(c)
    if target then
      bytes('goal', target, 'the heap at which the next cycle ends, by ' .. by)
      bytes('heap live', c.heapLive, ('%.0f %% of the goal'):format(100 * c.heapLive / target))
    else
      row('goal', 'none', nil, by)
      bytes('heap live', c.heapLive, 'no cycle is due')
    end
    bytes('heap marked', c.heapMarked, 'what the last cycle found in use')
    bytes('heap in use', c.heapInUse, 'spans with objects')
    bytes('heap idle', c.heapFree, 'free, not given back to the system')
    bytes('heap released', c.heapReleased, 'given back to the system')
    bytes('mapped', c.mappedReady, 'all memory that counts towards the limit')
    local percent = c.gcPercent
    row('GOGC', percent < 0 and 'off' or tostring(percent), percent, 'percent')
    if ri.cmp(c.memoryLimit, 2 ^ 62) > 0 then
      row('GOMEMLIMIT', 'none', c.memoryLimit)
    else
      bytes('GOMEMLIMIT', c.memoryLimit, ('%.0f %% used'):format(100 * c.mappedReady / c.memoryLimit))
    end
    row('cpu fraction', ('%.2f %%'):format(100 * stats.gc_cpu_fraction), stats.gc_cpu_fraction, 'of the CPU time since the start')
    local limiter = runtime.var 'runtime.gcCPULimiter'
    if limiter and limiter.enabled then row('cpu limiter', 'on', 1, 'the collector would take more than half of the CPU time: the memory limit is too tight') end
    time('pauses', stats.pause_total_ns, 'in all')
    for i = 0, math.min(p.pauses, stats.numgc) - 1 do
      local at = (stats.numgc - 1 - i) % 256
      time('pause', stats.pause_ns[at], ago(ri.float(stats.pause_end[at])), stats.numgc - i)
    end
  end,
}
