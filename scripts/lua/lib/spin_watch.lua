--- Watches goroutines that run all the time, between the two looks of `ri check`: which they are, and where they are in several short stops.
--
-- A goroutine that waits again and again, however shortly, isn't one. Whether it does is told by how it last gave its P away: the runtime keeps in
-- g.sched.pc where that was, and counts in g.trackingSeq how often (runtime/proc.go, Go 1.20 to 1.27; system calls are counted up to 1.25 only). So
-- one that was seen at work at every look, but was parked in between, is known to have waited.

local channels = require("spin_channels")
local ends = require("spin_ends")
local runtime = require("runtime")
local timers = require("timers")

local watch = {}

-- A table with one large number for a key is as long as that number (gopher-lua: an array).
local key = tostring

--- How many looks there are at least at a goroutine's stack, and how many where those don't tell.
watch.enough, watch.plenty = 5, 15

-- How many looks there are at one that dials, of which one of five or so tells what came of it; and how many where what may be the cause of a spin was
-- seen, and is seldom to be seen.
local dialler, rarely = 25, 40

-- For how long it is looked on, in nanoseconds: on a machine that is busy each stop takes its time. What is seldom to be seen takes so many looks, however
-- long each takes.
local patience, longest = 1e9, 15e9

-- How much of a stack is compared, in bytes; how many goroutines' stacks are looked at; how many others are watched.
local compared, most, crowd = 8192, 64, 4096

-- How many threads are asked for what they run.
local threads = 1000

-- States and waits in which the runtime holds a goroutine up, that itself waits for nothing.
local runtimes = {
  preempted = true, copystack = true, ["GC assist wait"] = true, ["GC assist marking"] = true, ["stopping the world"] = true,
  ["garbage collection"] = true, ["garbage collection scan"] = true, ["GC mark termination"] = true, ["flushing proc caches"] = true,
  ["trace goroutine status"] = true,
}

-- Waits of which it depends on what they are for how long they last, and "semacquire", in which the runtime waits, too.
local momentary = { ["chan receive"] = true, select = true, semacquire = true }

-- parks are the places in which goroutines that wait have given their P away.
local function parks(groups)
  local out = {}
  for _, g in ipairs(groups) do
    local f = g.frames[1]
    if f and f.func == "runtime.gopark" and not f.inlined then out[f.pc] = true end
  end
  return out
end

-- running gives the goroutines that the Ps run or will run next, by their numbers, and how many Ps there are. One that calls
-- runtime.Gosched again and again is as often in the queue for all Ps as it runs. Up to Go 1.25 one in a system call has
-- left its P, which is still in the state that says so (_Psyscall) if the call is short.
local function running()
  local out, ps, short = {}, 0, false
  local function note(g)
    if g then out[g.goid] = ri.addr(g) end
  end
  for p in runtime.processors() do
    ps = ps + 1
    pcall(function() -- it changes while it is read
      local m = runtime.at(p.m, "runtime.m")
      if m then note(runtime.at(m.curg, "runtime.g")) end
      note(runtime.at(p.runnext, "runtime.g"))
      short = short or p.status == 2
    end)
  end
  pcall(function() note(runtime.at(ri.var "runtime.sched".runq.head, "runtime.g")) end)
  local n = 0
  if short then
    for m in runtime.threads() do
      n = n + 1
      if n > threads then break end
      pcall(function()
        local p = runtime.at(m.oldp, "runtime.p")
        if p and p.status == 2 and p.syscalltick == m.syscalltick then note(runtime.at(m.curg, "runtime.g")) end
      end)
    end
  end
  return out, ps
end

local reasons

-- reason is why a goroutine waited last.
local function reason(g)
  if reasons == nil then reasons = runtime.var "runtime.waitReasonStrings" or false end
  return reasons and reasons[g.waitreason] or ""
end

-- made tells of one that waits for a semaphore whether it is the runtime's, which starts a collection: it was making something.
local function made(c)
  local ok, frames = pcall(function() return ri.stack(ri.goroutine(c.id, c.addr), 32) end)
  for _, f in ipairs(ok and frames or {}) do
    if f.func == "runtime.gcStart" or f.func:find("^runtime%.mallocgc") then return true end
  end
  return false
end

-- holds tells whether the runtime holds a goroutine up, which itself waits for nothing.
local function holds(c, g, status)
  local why = reason(g)
  if why == "semacquire" then return status == "running" or status == "syscall" or made(c) end
  return runtimes[status] or runtimes[why] or false
end

-- channel_at is where a runtime.sudog has its channel's address; from Go 1.26 on it has it twice, and once only for the collector (maybeTraceablePtr).
local function channel_at()
  for _, f in ipairs(ri.type("runtime.sudog").fields) do
    if f.name == "c" then return f.offset + ri.type(f.type).size - 8 end
  end
end

-- timed tells whether a goroutine that is parked waits for a timer's channel, among others; before Go 1.23 only the timers know that, and when that is due.
local function timed(g)
  local w, n, sends = g.waiting, 0, nil
  while w ~= nil and n < 16 do
    local addr, bytes = 0, ri.memory(ri.addr(w) + channel_at(), 8)
    for i = 8, 1, -1 do addr = addr * 256 + bytes:byte(i) end
    local c = addr ~= 0 and ri.at(addr, "runtime.hchan")
    if c and runtime.has(c, "timer") then
      if c.timer ~= nil then return true end
    elseif c then
      sends = sends or timers.sends()
      local when = sends[ri.hex(addr)]
      if when then return true, when end
    end
    w, n = w.waitlink, n + 1
  end
  return false
end

-- Where one that goes on is that tries to get a connection: it is parked until the kernel says that it came about, or didn't, which may be at once.
local dials = "^net%.%(%*sysDialer%)%."

-- dialling tells whether frames are of one that tries to get a connection.
local function dialling(frames)
  for _, f in ipairs(frames) do
    if f.func:find(dials) then return true end
  end
  return false
end

-- How often one that waited for the network is asked whether it dials, while it runs on.
local asked_at_most = 8

-- asks_for tells of one that waited for the network whether it dials, as far as its stack can be followed while it runs on: then it is looked at in
-- stops, too, which tell what comes of it.
local function asks_for(l, c)
  if c.asked == nil then
    c.asked, c.dials = 0, dialling(l.state[c.id] and l.state[c.id].frames or {})
  end
  if c.dials or c.asked >= asked_at_most then return end
  c.asked = c.asked + 1
  local ok, frames = pcall(function() return ri.stack(ri.goroutine(c.id, c.addr), 32) end)
  c.dials = ok and dialling(frames)
end

-- look notes what a goroutine is doing: whether it runs, or would if there were a P for it, and whether it has waited.
local function look(l, c, now)
  c.seen = c.seen + 1
  return pcall(function()
    local g = ri.at(c.addr, "runtime.g")
    if g.goid ~= c.id then
      c.waited, c.gone = true, true
      return
    end
    local status, seq = runtime.status(g), g.trackingSeq
    local held, why = holds(c, g, status), reason(g)
    if why == "IO wait" and status ~= "running" then asks_for(l, c) end
    local parked = l.parks[g.sched.pc] and (status == "runnable" or c.seq ~= nil and c.seq ~= seq)
    if c.seq ~= nil and c.seq ~= seq then c.turns = c.turns + 1 end
    -- It has waited for that since the last look. What a timer wakes may wait for it but for a moment.
    if c.why and c.why ~= why and why ~= "" and not runtimes[why] and not momentary[why] then c.waited = true end
    c.seq, c.why = seq, why
    if status == "running" or status == "runnable" or status == "syscall" or held then
      c.busy, c.last = c.busy + 1, now
      if parked and not held then c.waited = true end
    else
      c.waited = true
      if l.parents and l.parents[key(c.id)] then c.busy, c.last = c.busy + 1, now end -- what it has started runs
      if not c.timed or c.overdue ~= nil then
        local known, is, when = pcall(timed, g)
        c.timed = c.timed or known and is
        if known and when then c.overdue = c.overdue ~= false and ri.cmp(when, runtime.nanotime()) <= 0 end
      end
    end
  end)
end

--- How often a goroutine is known to have run from one look to the next.
function watch.ran(c)
  local n = c.turns
  for i, look in ipairs(c.looks) do
    local before = c.looks[i - 1]
    if look.running or before and (before.seq ~= look.seq or before.frames[1].pc ~= look.frames[1].pc) then n = n + 1 end
  end
  return n
end

--- Whether a goroutine has run all the time that it is known.
function watch.hot(c) return not c.waited and c.busy >= 0.8 * c.seen end

-- What has other goroutines do what it is asked for, and waits for these: clients of net/http, and look-ups of names.
local asking = { "^net/http%.%(%*Transport%)%.", "^net%.%(%*Resolver%)%.[lL]ookup" }

-- served tells of a goroutine whether it was in such a function in the first look.
local function served(l, c)
  if c.asks == nil then
    c.asks = false
    for _, f in ipairs(l.state[c.id] and l.state[c.id].frames or {}) do
      for _, pattern in ipairs(asking) do c.asks = c.asks or f.func:find(pattern) ~= nil end
    end
  end
  return c.asks
end

-- restless tells whether a goroutine runs most of the time, or has others run for it, waits but for moments in between, and was seen to dial, or asking in the
-- first look, or waited for a timer.
local function restless(l, c)
  if not c.waited or c.gone or c.seen < 3 or c.busy < 0.4 * c.seen then return false end
  return c.dials or c.timed or served(l, c)
end

-- kept gives the bytes of a stack outside the innermost frame, up to the outermost.
local function kept(frames)
  local low = frames[1].cfa
  local high = frames[#frames].cfa
  if ri.cmp(high, low) <= 0 then return { low = low, bytes = "" } end
  local ok, bytes = pcall(ri.memory, low, math.min(high - low, compared))
  return { low = low, bytes = ok and bytes or "" }
end

-- How many goroutines are looked at one by one at the same time, and in all: a stop is to be short.
local batch, chosen_at_most = 16, 32

-- choose gives those of some goroutines that are to be looked at in the next stop. Others of a crowd are told by where they are in the end.
local function choose(l, ids)
  local out, n, open = {}, 0, {}
  for id, c in pairs(ids) do
    if c.chosen then
      out[id], n = c, n + 1
    else
      open[#open + 1] = id
    end
  end
  table.sort(open, function(a, b) return ri.cmp(a, b) < 0 end)
  for _, id in ipairs(open) do
    if n >= batch or l.chosen >= chosen_at_most then break end
    out[id], n, l.chosen = ids[id], n + 1, l.chosen + 1
    ids[id].chosen = true
  end
  return out
end

-- How often a stack is tried for that can't be told where the goroutine is just then: in the vDSO, which has the time, say.
local tries = 4

-- deepest is how many frames of a stack are looked at.
local deepest = 64

-- whole tells whether a stack was followed to its outer end: where the runtime changes from one stack to another it can't be.
local function whole(frames) return #frames >= deepest or #frames > 0 and frames[#frames].func == "runtime.goexit" end

-- How many goroutines are gone through for those that one has started.
local descendants = 2000

-- children gives the goroutines that one has started (Go 1.21 on notes it).
local function children(l, id)
  local out, n = {}, 0
  for g in ri.goroutines() do
    n = n + 1
    if n > descendants then break end
    if g.parent == id then out[#out + 1] = g end
  end
  return out
end

-- stack looks at a goroutine's stack in a stop.
local function stack(l, c, g)
  local ok, frames = pcall(ri.stack, g, deepest)
  if not ok or not whole(frames) then return nil end
  local call = ri.syscall(g)
  local within = call ~= nil
  if call and call.waits then
    if not ends.starts(frames) then return nil, true end
    call = nil -- it has given nothing yet
  end
  local told, found = pcall(ends.of, g, frames, call)
  if not told then l.noends, found = found, {} end
  if c.restless and c.overdue then channels.overdue(frames, found) end
  if c.restless and c.asks then
    c.children = c.children or {}
    local known, more = pcall(ends.served, frames, function() return children(l, c.id) end, c.children)
    for _, one in ipairs(known and more or {}) do found[#found + 1] = one end
  end
  local had, receivers = pcall(ends.receivers, g, frames)
  local given
  if #c.looks == 0 then told, given = pcall(ends.given, g, frames) end
  return {
    frames = frames, seq = ri.at(c.addr, "runtime.g").trackingSeq, created_by = g.created_by, kept = kept(frames), running = g.status == "running" or within, ends = found,
    given = told and given or nil, receivers = had and receivers or {}, held = holds(c, ri.at(c.addr, "runtime.g"), g.status),
  }
end

-- stacks looks at the goroutines that seem to run all the time, in short stops. l.nostacks says why that couldn't be.
local function stacks(l, all)
  local ids = choose(l, all)
  for try = 1, tries do
    if next(ids) == nil then return end
    local held, why = pcall(ri.again, try == 1 and 0 or 0.001, "stopped")
    if not held then
      l.nostacks = why
      return
    end
    local found, gone = {}, {}
    for id, c in pairs(ids) do
      pcall(function() -- the stop may be over, which the next look says
        local known, g = pcall(ri.goroutine, id, c.addr)
        if not known or g == nil then
          gone[#gone + 1] = c
        elseif g.status == "running" or g.status == "runnable" or g.status == "syscall" or c.restless and c.asks then
          local one, waits = stack(l, c, g)
          if one then found[#found + 1] = { c, one } end
          if waits and not c.restless then gone[#gone + 1] = c end
        elseif not c.restless and not holds(c, ri.at(c.addr, "runtime.g"), g.status) then
          gone[#gone + 1] = c
        end
      end)
    end
    held, why = ri.again(0, "live")
    if not held then
      l.nostacks = why
      return
    end
    for _, c in ipairs(gone) do
      c.waited, ids[c.id] = true, nil
    end
    for _, f in ipairs(found) do
      local c, one = f[1], f[2]
      ids[c.id] = nil
      for _, frame in ipairs(one.frames) do
        if frame.func == "runtime.gopark" and not one.held then c.waited = true end -- it was woken, and waits for its turn
      end
      table.insert(c.looks, one)
    end
  end
end

-- watched looks at the candidates, and gives those that run all the time, if there are any.
local function watched(l, candidates, now)
  local out, any, count = {}, false, 0
  for id, c in pairs(candidates) do
    count = count + 1
    look(l, c, now)
    c.restless = restless(l, c)
    if watch.hot(c) or c.restless then out[id], any = c, true end
  end
  return any and out or nil, count
end

-- families gives the goroutines that have started those that run, and theirs.
local function families(found)
  local out = {}
  for _, addr in pairs(found) do
    pcall(function()
      local g = ri.at(addr, "runtime.g")
      if not runtime.has(g, "parentGoid") or g.parentGoid == 0 then return end
      out[key(g.parentGoid)] = true
      local parent = ri.goroutine(g.parentGoid)
      if parent and parent.parent then out[key(parent.parent)] = true end
    end)
  end
  return out
end

local function candidate(id, addr, now) return { id = id, addr = addr, busy = 0, seen = 0, turns = 0, looks = {}, first = now, last = now } end

--- Looks once, of several times between the two looks. In the second half those that have run all the time are stopped for their stacks.
-- @param l table, the look
-- @param i int, which time
-- @param times int, of how many
function watch.sample(l, i, times)
  local first = l.candidates == nil
  if first then l.candidates, l.crowd, l.parks, l.chosen = {}, {}, parks(l.groups), 0 end
  ri.again(l.seconds / times, "live")
  local now = runtime.nanotime()
  if first then
    local n = 0
    for g in ri.goroutines { status = "runnable" } do
      n = n + 1
      if n > crowd then break end
      l.crowd[g.id] = candidate(g.id, g.addr, now)
    end
  end
  local found, ps = running()
  l.ps, l.parents = ps, families(found)
  local all, count = watched(l, l.candidates, now)
  for id, addr in pairs(found) do
    if not l.candidates[id] and count < most then
      count = count + 1
      l.candidates[id], l.crowd[id] = l.crowd[id] or candidate(id, addr, now), nil
      look(l, l.candidates[id], now)
    end
  end
  watched(l, l.crowd, now)
  if all and i >= times / 2 then stacks(l, all) end
end

--- Looks on at those that were noticed late, and at those of which it isn't clear, until enough is known of each.
-- @param l table, the look
-- @param undecided function, whether more looks at a goroutine may tell more, whether something was seen that makes it likely, and is seldom to be seen
function watch.finish(l, undecided)
  local began = runtime.nanotime()
  for round = 1, rarely do
    local open, more = {}, runtime.nanotime() - began < patience
    for id, c in pairs(l.candidates) do
      local hot = (watch.hot(c) or c.restless) and (c.chosen or l.chosen < chosen_at_most)
      local want = hot and (#c.looks < watch.enough and round <= watch.plenty or round <= watch.enough and watch.ran(c) < 2)
      if hot and not want and #c.looks >= watch.enough and #c.looks < rarely then
        local is, hint, rare = undecided(c)
        local time = runtime.nanotime() - began
        rare = rare or c.dials and #c.looks < dialler
        want = is and (rare and time < longest or #c.looks < watch.plenty and (more or hint and time < 3 * patience))
      end
      if want then open[id] = c end
    end
    if next(open) == nil then break end
    ri.again(math.min(l.seconds / 10, 0.05), "live")
    l.parents = families((running()))
    local all = watched(l, open, runtime.nanotime())
    if all then stacks(l, all) end
  end
  local others = next(l.crowd) ~= nil
  for _, c in pairs(l.candidates) do others = others or watch.hot(c) and not c.chosen end
  if others then
    watched(l, l.crowd, runtime.nanotime())
    l.after = ri.stacks { all = true }
  end
end

return watch
