-- The scheduler: what each P and each thread does.

local runtime = require 'runtime'

local pstatus = { [0] = 'idle', 'running', 'syscall', 'gcstop', 'dead' } -- runtime/runtime2.go

-- queued counts the goroutines in a P's run queue, the next one included.
local function queued(p)
  local n = (p.runqtail - p.runqhead) % 2 ^ 32
  if n > #p.runq then n = #p.runq end
  local nextone = p.runnext
  if nextone ~= nil and nextone ~= 0 then n = n + 1 end
  return n
end

local function goroutine(g)
  if g == nil or g == 0 then return nil end
  return runtime.at(g, 'runtime.g')
end

-- ticks of a P's system calls, and for how long sysmon has seen the same.
local function insyscall(p, now)
  local seen = p.sysmontick
  if p.status ~= 2 or seen.syscalltick ~= p.syscalltick or seen.syscallwhen == 0 then return nil end
  return now - seen.syscallwhen
end

-- running is for how long sysmon has seen a P run the same goroutine.
local function running(p, now)
  local seen = p.sysmontick
  if p.status ~= 1 or seen.schedtick ~= p.schedtick or seen.schedwhen == 0 then return nil end
  return now - seen.schedwhen
end

local function innermost(g)
  local one = ri.goroutine(g.goid)
  local frames = one and one:stack(32) or {}
  for _, f in ipairs(frames) do
    if not f.func:find('^runtime%.[%l_]') and not f.func:find('^internal/runtime/') then return f.func end
  end
  return frames[1] and frames[1].func
end

local function processors(now)
  for p in runtime.processors() do
    local m = runtime.at(p.m, 'runtime.m')
    local g = m ~= nil and goroutine(m.curg) or nil
    ri.emit {
      kind = 'P', id = p.id, state = pstatus[p.status] or tostring(p.status), queue = queued(p), thread = m ~= nil and m.procid or nil,
      goroutine = g ~= nil and g.goid or nil, time = insyscall(p, now) or running(p, now), what = g ~= nil and innermost(g) or nil,
    }
  end
end

-- extra tells whether a thread is kept for threads that come from C. Before Go 1.20 it isn't noted.
local function extra(m) return ri.has(m, "isextra") and m.isextra end

-- doing is what a thread does, in words. A thread without a P either rests or is in a system call or in C.
local function doing(m, g)
  if extra(m) then return 'extra' end -- kept for threads that come from C; of no goroutine's business until one does
  if m.mstartfn ~= nil and ri.func(m.mstartfn).name == 'runtime.sysmon' then return 'sysmon' end
  if m.p ~= nil and m.p ~= 0 then
    if m.spinning then return 'spinning' end
    return g ~= nil and runtime.status(g) or 'running'
  end
  if m.incgo then return 'in C' end
  if g ~= nil then return runtime.status(g) end
  return 'idle'
end

local resting = { idle = true, extra = true, sysmon = true }

local function threads(p)
  for m in runtime.threads() do
    local g = goroutine(m.curg)
    local locked = not extra(m) and goroutine(m.lockedg) or nil
    local state = doing(m, g)
    if p.idle or not resting[state] or locked ~= nil then
      local processor = runtime.at(m.p, 'runtime.p')
      if g == nil and locked ~= nil then state = 'idle, locked' end
      if g ~= nil and locked ~= nil then state = state .. ', locked' end
      local its = g ~= nil and g or locked
      ri.emit {
        kind = 'M', id = m.id, state = state, thread = m.procid ~= 0 and m.procid or nil, processor = processor ~= nil and processor.id or nil,
        goroutine = its ~= nil and its.goid or nil, what = its ~= nil and innermost(its) or nil,
      }
    end
  end
end

local function summary()
  local sched = ri.var 'runtime.sched'
  local global, all, locked = 0, 0, 0
  for _ in runtime.queue(sched.runq) do global = global + 1 end
  for m in runtime.threads() do
    all = all + 1
    if not extra(m) and m.lockedg ~= nil and m.lockedg ~= 0 then locked = locked + 1 end
  end
  local count = { runnable = 0, running = 0, syscall = 0, waiting = 0 }
  for g in ri.goroutines { system = true } do count[g.status] = (count[g.status] or 0) + 1 end
  print(('GOMAXPROCS %d, %d idle; %d threads of at most %d, %d idle, %d spinning, %d locked to goroutines'):format(
    ri.var 'runtime.gomaxprocs', sched.npidle, all, sched.maxmcount, sched.nmidle, sched.nmspinning, locked))
  print(('goroutines: %d running, %d runnable (%d in the global queue), %d in system calls, %d waiting%s'):format(
    count.running, count.runnable, global, count.syscall, count.waiting, sched.gcwaiting == true and '; the world is being stopped' or ''))
end

return {
  title = "scheduler: Ps, threads, run queues, who runs what",
  category = "go",
  description = [[
What each P (there are GOMAXPROCS) and each thread (M) of the program does. QUEUE counts the goroutines that wait to run on that P. TIME is for how
long the runtime's monitor (sysmon) has seen the P run the same goroutine, or be in the same system call: a lower bound, and none if it has
just begun. Threads that rest are left out unless idle=yes (so are sysmon's, and those kept for threads that come from C); those locked to a goroutine (runtime.LockOSThread) are always shown.]],
  needs = {
    vars = { "runtime.allp", "runtime.sched", "runtime.gomaxprocs" }, runtime = { "thread" },
    fields = {
      "runtime.p.id", "runtime.p.status", "runtime.p.m", "runtime.p.runq", "runtime.p.runqhead",
      "runtime.p.runqtail", "runtime.p.runnext", "runtime.p.sysmontick", "runtime.p.syscalltick",
      "runtime.p.schedtick", "runtime.m.id", "runtime.m.curg", "runtime.m.p", "runtime.m.incgo",
      "runtime.m.lockedg", "runtime.m.mstartfn", "runtime.m.spinning", "runtime.schedt.runq",
      "runtime.schedt.npidle", "runtime.schedt.nmidle", "runtime.schedt.nmspinning", "runtime.schedt.maxmcount"
    },
  },
  params = {
    { name = "idle", type = "bool", default = false, help = "idle threads too" },
  },
  columns = {
    { name = "kind", help = "P or M", key = true },
    { name = "id", type = "int", help = "the runtime's number for it", key = true },
    { name = "state", help = "of a P: idle, running, syscall, gcstop; of a thread: running, syscall, spinning, in C, idle, sysmon, extra; locked" },
    { name = "queue", type = "int", help = "goroutines that wait to run on the P" },
    { name = "processor", type = "int", help = "the P that the thread has" },
    { name = "thread", type = "int", help = "the kernel's number of the thread, as the program knows it" },
    { name = "goroutine", type = "int", help = "the one that runs on it, or that it is locked to" },
    { name = "time", type = "duration", help = "in this run or system call, at least" },
    { name = "what", help = "the goroutine's innermost function that isn't the runtime's", cut = "left" },
  },
  sample = [[
GOMAXPROCS 2, 1 idle; 6 threads of at most 10000, 3 idle, 0 spinning, 1 locked to goroutines
goroutines: 1 running, 0 runnable (0 in the global queue), 1 in system calls, 43 waiting
KIND  ID  STATE    QUEUE  PROCESSOR  THREAD  GOROUTINE  TIME  WHAT
P      0  running      2          -    4711         18  12ms  main.busy
P      1  idle         0          -       -          -     -  -
M      0  running      -          0    4711         18     -  main.busy]],
  run = function(p)
    local now = runtime.nanotime()
    summary()
    processors(now)
    threads(p)
  end,
}
