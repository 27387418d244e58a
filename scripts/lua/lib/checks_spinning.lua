--- The check of `ri check` for goroutines that spin: that run all the time in one place, and get nowhere.
--
-- That a goroutine runs all the time is no finding: it may have much to do. What tells a spin from work is what changes. Where a function is called
-- again and again by one that has much to do, the callers' frames change between looks: they keep the next element, a counter. And what a loop
-- that waits calls is short: it asks the time, a flag, a lock. A loop that calls what loops itself, allocates, or has the standard library
-- compute something, is taken for work.

local locks = require("checks_locks")
local waits = require("waits")
local runtime = require("runtime")

-- How many looks there are at least at a goroutine's stack, how long the place may be, in bytes of code, and how much of a stack is compared.
local enough, longest, compared = 4, 512, 8192

-- How many goroutines are looked at.
local most = 64

-- States and waits in which the runtime holds a goroutine up, that itself waits for nothing.
local runtimes = { preempted = true, copystack = true, ["GC assist wait"] = true, ["GC assist marking"] = true, ["stopping the world"] = true }

-- What a loop that waits may call of the standard library. Names without a package are of the runtime's assembly.
local asks = { "^runtime[%./]", "^internal/", "^sync%.", "^sync/atomic%.", "^time%.", "^context%.", "^[%w_]+$" }

-- What of the runtime tells that something is made.
local makes = { "^runtime%.mallocgc", "^runtime%.newobject", "^runtime%.makeslice", "^runtime%.growslice", "^runtime%.mapassign", "^runtime%.gcAssist", "^runtime%.makemap" }

local function matches(func, patterns)
  for _, pattern in ipairs(patterns) do
    if func:find(pattern) then return true end
  end
  return false
end

-- running gives the goroutines that the Ps run or will run next, by their numbers, and how many Ps there are. One that calls
-- runtime.Gosched again and again is as often in the queue for all Ps as it runs.
local function running()
  local out, ps = {}, 0
  local function note(g)
    if g then out[g.goid] = ri.addr(g) end
  end
  for p in runtime.processors() do
    ps = ps + 1
    pcall(function() -- it changes while it is read
      local m = runtime.at(p.m, "runtime.m")
      if m then note(runtime.at(m.curg, "runtime.g")) end
      note(runtime.at(p.runnext, "runtime.g"))
    end)
  end
  pcall(function() note(runtime.at(ri.var "runtime.sched".runq.head, "runtime.g")) end)
  return out, ps
end

-- busy tells whether a goroutine runs or would if there were a P for it; nil if it is gone.
local function busy(id, addr)
  local ok, is = pcall(function()
    local g = ri.at(addr, "runtime.g")
    if g.goid ~= id then return nil end
    local status = runtime.status(g)
    return status == "running" or status == "runnable" or runtimes[status] == true
  end)
  if ok then return is end
  return nil
end

-- kept gives the bytes of a stack outside the innermost frame, up to the outermost.
local function kept(frames)
  local low = frames[1].cfa
  local high = frames[#frames].cfa
  if ri.cmp(high, low) <= 0 then return { low = low, bytes = "" } end
  local ok, bytes = pcall(ri.memory, low, math.min(high - low, compared))
  return { low = low, bytes = ok and bytes or "" }
end

-- How often a stack is tried for that can't be told where the goroutine is just then: in the vDSO, which has the time, say.
local tries = 4

-- deepest is how many frames of a stack are looked at.
local deepest = 64

-- whole tells whether a stack was followed to its outer end: where the runtime changes from one stack to another it can't be.
local function whole(frames) return #frames >= deepest or #frames > 0 and frames[#frames].func == "runtime.goexit" end

-- stacks looks at the goroutines that seem to run all the time, in short stops. l.nostacks says why that couldn't be.
local function stacks(l, ids)
  for try = 1, tries do
    if next(ids) == nil then return end
    local held, why = pcall(ri.again, try == 1 and 0 or 0.001, "stopped")
    if not held then
      l.nostacks = why
      return
    end
    local found, gone = {}, {}
    for id, c in pairs(ids) do
      local known, g = pcall(ri.goroutine, id, c.addr)
      if not known or g == nil then
        gone[#gone + 1] = c
      else
        if g.status == "running" or g.status == "runnable" then
          local ok, frames = pcall(ri.stack, g, deepest)
          if ok and whole(frames) then found[#found + 1] = { c, frames, g.created_by, kept(frames) } end
        elseif not runtimes[g.status] and not runtimes[g.wait_reason] then
          gone[#gone + 1] = c
        end
      end
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
      local c = f[1]
      ids[c.id] = nil
      for _, frame in ipairs(f[2]) do
        if frame.func == "runtime.gopark" then c.waited = true end -- it was woken, and waits for its turn
      end
      table.insert(c.looks, { frames = f[2], created_by = f[3], kept = f[4] })
    end
  end
end

-- hot tells whether a goroutine has run all the time that it is known.
local function hot(c) return not c.waited and c.busy >= 0.8 * c.seen end

-- watch looks at the candidates, and gives those that run all the time, if there are any.
local function watch(candidates, now)
  local out, any, count = {}, false, 0
  for id, c in pairs(candidates) do
    count = count + 1
    local is = busy(id, c.addr)
    c.seen = c.seen + 1
    if is then c.busy, c.last = c.busy + 1, now end
    if is and hot(c) then out[id], any = c, true end
  end
  return any and out or nil, count
end

--- Looks once, of several times between the two looks. In the second half those that have run all the time are stopped for their stacks.
-- @param l table, the look
-- @param i int, which time
-- @param times int, of how many
local function sample(l, i, times)
  l.candidates = l.candidates or {}
  ri.again(l.seconds / times, "live")
  local found, ps = running()
  local now = runtime.nanotime()
  l.ps = ps
  local all, count = watch(l.candidates, now)
  for id, addr in pairs(found) do
    if not l.candidates[id] and count < most then
      count = count + 1
      l.candidates[id] = { id = id, addr = addr, busy = 1, seen = 1, looks = {}, first = now, last = now }
    end
  end
  if all and i >= times / 2 then stacks(l, all) end
end

--- Looks on at those that were noticed late, until enough is known of each.
-- @param l table, the look
local function finish(l)
  for _ = 1, 2 * enough do
    local open = {}
    for id, c in pairs(l.candidates) do
      if hot(c) and #c.looks < enough then open[id] = c end
    end
    if next(open) == nil then return end
    ri.again(math.min(l.seconds / 10, 0.05), "live")
    local all = watch(open, runtime.nanotime())
    if all then stacks(l, all) end
  end
end

-- own is the innermost of the program's own frames among the outermost n.
local function own(reversed, n)
  local frames = {}
  for i = math.min(n, #reversed), 1, -1 do frames[#frames + 1] = reversed[i] end
  return locks.frame { frames = frames }
end

-- reversed gives a stack from its outermost frame on, without what the runtime was called for at its end: a select with a default, a map access, a
-- preemption are a part of the statement that asked for them.
local function reversed(frames)
  local from, out = 1, {}
  while frames[from] and (frames[from].func:find("^runtime%.") or frames[from].func:find("^internal/runtime/")) do from = from + 1 end
  for k = #frames, from, -1 do out[#out + 1] = frames[k] end
  return out
end

-- moves tells whether the frames outside of a frame differ between two looks: then it was called anew.
local function moves(a, b, at, bt)
  local x, y = a.kept, b.kept
  local from, to = at.cfa - x.low, bt.cfa - y.low
  return x.bytes:sub(from + 1) ~= y.bytes:sub(to + 1)
end

-- works tells whether what a loop calls has something to do.
local function works(look, reversed, at)
  for _, f in ipairs(look.frames) do
    if not f.func:find("^runtime%.") then break end
    if matches(f.func, makes) then return true end
  end
  for i = at, #reversed do
    local f = reversed[i]
    if locks.standard(f.func) then
      if not matches(f.func, asks) then return true end
    elseif i > at and not f.inlined and ri.loops(f.pc) then
      return true
    end
  end
  return false
end

-- region finds out whether all of a goroutine's stacks lie in one place: the same callers, and one function in which it goes round.
local function region(looks)
  local stacks, shortest = {}, math.huge
  for i, look in ipairs(looks) do
    stacks[i] = reversed(look.frames)
    shortest = math.min(shortest, #stacks[i])
  end
  local first, common = stacks[1], 0
  while common < shortest - 1 do
    for _, s in ipairs(stacks) do
      local x, y = first[common + 1], s[common + 1]
      if x.func ~= y.func or x.pc ~= y.pc then goto apart end
    end
    common = common + 1
  end
  ::apart::
  if not first[common + 1] then return nil end -- all of it is the runtime's
  -- The loop is in the innermost of these outside of which nothing changes.
  local index = common + 1
  for i, s in ipairs(stacks) do
    while index > 1 and moves(looks[1], looks[i], first[index], s[index]) do index = index - 1 end
  end
  local at = first[index]
  local low, high = at.pc, at.pc
  for i, s in ipairs(stacks) do
    local f = s[index]
    if f.func ~= at.func or works(looks[i], s, index) then return nil end
    low, high = math.min(low, f.pc), math.max(high, f.pc)
  end
  return { func = at.func, frame = own(first, index) or at, size = high - low }
end

local function spins(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  local out, all = {}, 0
  for id, c in pairs(l.candidates) do
    if l.nostacks and hot(c) and #c.looks < enough then return nil, "goroutines run all the time, and where couldn't be looked at: " .. l.nostacks, true end
    if not c.waited and #c.looks >= enough then
      local r = region(c.looks)
      if r and r.size <= longest and not l.told[id] then
        all = all + 1
        local from = c.looks[1].created_by
        out[#out + 1] = {
          severity = "warning", id = id, goroutines = { id },
          what = "a goroutine spins: it has run all the time in one place, and waited for nothing",
          where = ("goroutine %s in %s (%s)"):format(tostring(id), r.frame.func, waits.short(r.frame)),
          evidence = {
            ("it ran, or was ready to, in %d of %d looks over %s; its stack was looked at in %d, and it was always %s"):format(c.busy, c.seen,
              ri.duration(math.floor((c.last - c.first) / 1e6) * 1000000), #c.looks,
              r.size == 0 and "at the same instruction or call" or ("within %d bytes of code of that function"):format(r.size)),
            "its callers' frames have not changed in between",
            from and ("created by %s at %s"):format(from.func, waits.short(from)) or nil,
            "whether it is a long calculation or an endless loop memory doesn't tell",
          },
          next = "what does the loop there wait for, and can it come?",
        }
      end
    end
  end
  table.sort(out, function(a, b) return ri.cmp(a.id, b.id) < 0 end)
  for _, f in ipairs(out) do f.id = nil end
  if all >= l.ps and all > 0 then
    table.insert(out, 1, {
      severity = "critical", what = ("all Ps are busy: %d goroutines that spin take all %d, so others hardly run"):format(all, l.ps),
      where = "GOMAXPROCS", evidence = { "see the findings about each of them" }, next = "ri run scheduler shows who waits to run",
    })
  end
  return out
end

return { { name = "spinning", run = spins }, sample = sample, finish = finish }
