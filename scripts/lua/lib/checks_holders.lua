--- The checks of `ri check` for locks whose holder can be told, and that others wait for: what the holder does meanwhile.
--
-- A holder that waits itself, and has not run between the looks, is looked at in the first look. One that runs is watched
-- between the looks: what it does, and whether it has the lock in each of some stops. That it never gave the lock back in
-- between is told by those who wait for it: a lock that is given back wakes one of them.

local locks = require("checks_locks")
local needs = require("needs")
local runtime = require("runtime")
local waits = require("waits")
local words = require("words")

local holders = {}

-- How many goroutines are watched, and in how many stops.
local most, stops = 32, 3

-- States in which a goroutine runs, would run if it had a processor, or is held up by the runtime.
local ready = {
  running = true, runnable = true, preempted = true, copystack = true, ["GC assist wait"] = true, ["GC assist marking"] = true,
  ["stopping the world"] = true,
}

-- observe has a goroutine watched.
local function observe(l, id, addr)
  if l.watching >= most or l.watched[id] or locks.queues(l, id) then return end
  l.watching = l.watching + 1
  l.watched[id] = {
    id = id, addr = addr, seen = 0, ready = 0, waits = {}, looks = 0, has = {}, as = {}, places = {},
    began = runtime.nanotime(),
  }
end

--- Notes whom to watch, in the first look: who holds what others wait for. Of those locks whose holder it doesn't show it
-- may be one that runs.
-- @param l table, the look
function holders.first(l)
  l.watched, l.watching, l.orphans = {}, 0, {}
  for _, lock in ipairs(l.waits.locks) do
    if lock.kind ~= "WaitGroup" and lock.want.count + lock.rwant.count > 0 then
      for _, h in ipairs(lock.holders) do observe(l, h.id, h.addr) end
      if #lock.holders == 0 then l.orphans[#l.orphans + 1] = lock end
    end
  end
end

-- state gives what a goroutine does; nil where it is gone.
local function state(c)
  local ok, g = pcall(ri.goroutine, c.id, c.addr)
  if not ok or not g then return nil end
  return g.wait_reason ~= "" and g.wait_reason or g.status
end

-- stop looks at those that go on, in one stop.
local function stop(list)
  if not pcall(ri.again, 0, "stopped") then return end
  for _, c in ipairs(list) do
    pcall(function()
      local g = ri.goroutine(c.id, c.addr)
      if not g then return end
      local found = ri.locking(g)
      local frames, why = ri.stack(g, 64)
      if #frames == 0 or why then return end -- nothing can be told of this moment
      c.looks = c.looks + 1
      for _, held in ipairs(found.holds) do
        c.has[held.addr] = (c.has[held.addr] or 0) + 1
        c.as[held.addr] = held.holder
      end
      local f = locks.frame { frames = frames }
      if f then
        local place = ("%s (%s)"):format(f.func, waits.short(f))
        if not c.places[place] then c.places[place], c.places[#c.places + 1] = true, place end
      end
    end)
  end
  ri.again(0, "live")
end

--- Looks at those who are watched, while the process runs; in stops at those that have run since the first look.
-- @param l table, the look
-- @param i int, which time
-- @param times int, of how many
function holders.sample(l, i, times)
  local moved = {}
  if l.orphans and #l.orphans > 0 and i > 1 then
    for id, c in pairs(l.candidates or {}) do
      if ready[state(c)] then observe(l, id, c.addr) end
    end
  end
  for _, c in pairs(l.watched or {}) do
    local is = state(c)
    c.seen, c.last = c.seen + 1, runtime.nanotime()
    if is and ready[is] then
      c.ready = c.ready + 1
    elseif is then
      c.waits[is] = true
    end
    if is and not l.mark:still(c.id) then moved[#moved + 1] = c end
  end
  -- The last stop is at the end.
  if #moved > 0 and (times - i) % math.max(1, math.floor(times / stops)) == 0 and i > 1 then stop(moved) end
end

--- Takes for the holder of a lock who wasn't seen to have it in the first look, and has it in each of the stops.
-- @param l table, the look
function holders.adopt(l)
  for _, lock in ipairs(l.orphans or {}) do
    for id, c in pairs(l.watched) do
      local h = c.as[lock.addr]
      if h and c.looks > 1 and c.has[lock.addr] == c.looks then
        lock.holders[#lock.holders + 1] = h
        for _, need in ipairs(l.needs.all) do
          if need.lock == lock and need.kind == "lock" then needs.gives(l.needs, need, id, h) end
        end
      end
    end
  end
end

-- kept tells whether a goroutine that goes on has had a lock all the time.
local function kept(l, lock, h)
  local c = l.watched and l.watched[h.id]
  if not l.second or not c or c.looks == 0 or c.has[lock.addr] ~= c.looks then return nil end
  if h.reader then
    -- Nobody reads anew behind a writer that waits.
    for _, id in ipairs(lock.want.ids) do
      if l.still(id) then return c end
    end
    return nil
  end
  for _, queue in ipairs { lock.want, lock.rwant } do
    for _, id in ipairs(queue.ids) do
      if not l.still(id) then return nil end
    end
  end
  return c
end

-- What a holder is doing that waits.
local parked = { sleep = "time.Sleep", syscall = "a system call", ["IO wait"] = "network or file I/O" }

-- going says what one does that goes on, in words that follow "a goroutine that".
local function going(c)
  if c.ready == c.seen then return "runs all the time" end
  local reasons = {}
  for reason in pairs(c.waits) do reasons[#reasons + 1] = parked[reason] or reason end
  table.sort(reasons)
  return ("goes on, and waits in between (%s)"):format(table.concat(reasons, ", "))
end

local function waiting_for(l, lock)
  local out = {}
  for _, queue in ipairs { lock.want, lock.rwant } do
    for _, id in ipairs(queue.ids) do
      if l.still(id) then out[#out + 1] = id end
    end
  end
  return out
end

local function wait(n) return locks.count(n, "goroutine") .. (n == 1 and " waits" or " wait") end

-- told says what is wrong: c is nil for a holder that waits.
local function told(lock, h, c, n)
  local busy = c and going(c) or parked[h.state] or h.state
  if h.reader then
    local text = ("writer starved: a goroutine holds an RWMutex for reading %s %s, %s to write it"):format(c and "and" or "in", busy, wait(lock.want.count))
    return lock.rwant.count > 0 and text .. (", and %s behind"):format(locks.count(lock.rwant.count, "reader")) or text
  elseif c then
    local who = locks.once(h) and "the function of a sync.Once" or h.possibly and "lock held, as it seems, by a goroutine that" or "lock held by a goroutine that"
    return ("%s %s, %s for it"):format(who, busy, wait(n))
  end
  return ("%s %s, %s for it"):format(locks.once(h) and "the function of a sync.Once is in" or h.possibly and "lock held, as it seems, in" or "lock held in", busy, wait(n))
end

-- does says what was seen of a holder.
local function does(l, h, c)
  if not c then return ("goroutine %s: %s, %s"):format(tostring(h.id), h.state, l.waited(h.id)) end
  return ("goroutine %s ran, or was ready to, in %d of %d looks over %s; it had the lock in each of %s, in %s"):format(tostring(h.id), c.ready, c.seen,
    words.duration(math.max(0, c.last - c.began)), words.count(c.looks, "stop"), table.concat(c.places, ", ", 1, math.min(#c.places, 4)))
end

-- finding tells of one holder.
local function finding(l, lock, h, c, waiting)
  local queued = needs.united(lock.want.ids, lock.rwant.ids)
  local behind = needs.united(queued, needs.behind(l.needs, queued))
  local evidence = {
    ("goroutine %s %s %s: %s"):format(tostring(h.id), locks.has(h), waits.name(lock), h.evidence),
    does(l, h, c),
    ("waiting: goroutines %s; goroutine %s %s"):format(locks.list(waiting), tostring(waiting[1]), l.waited(waiting[1])),
  }
  if c then
    evidence[#evidence + 1] = h.reader and "the writer has not gone on in that time, and nobody reads anew behind it" or
      "none of those who wait has gone on in that time, so the lock was not given back"
    l.told[h.id] = true
  end
  evidence[#evidence + 1] = locks.created(l, h.id)
  local lost = l.never(h.id)
  if lost then
    evidence[#evidence + 1] = ("certain: nothing that can still run leads to what goroutine %s waits for, so the lock stays taken"):format(tostring(h.id))
    for _, id in ipairs(behind) do l.left[id] = l.never(id) or l.left[id] end -- told here, with what holds them up
  end
  local place = c and h.at.func .. waits.short(h.site) or locks.spot(l, h.id)
  return {
    severity = lost and "critical" or "warning", what = told(lock, h, c, #behind), where = locks.holder_place(l, h), evidence = evidence, goroutines = { h.id },
    waiters = behind, holders = { h.id }, roots = { h.id },
    pattern = table.concat({ c and "runs" or h.state, place, locks.called(lock), locks.spot(l, waiting[1]) }, "\n"),
    next = c and ("can goroutine %s do that without the lock, or end? ri run cpu shows where it runs"):format(tostring(h.id)) or
      ("what is goroutine %s waiting for? ri run goroutines group=false; don't do what may last while the lock is held"):format(tostring(h.id)),
  }
end

local function held(l)
  locks.share(l)
  local out, seen = {}, {}
  for _, lock in ipairs(l.waits.locks) do
    for _, h in ipairs(lock.holders) do
      local key = tostring(h.id) .. "/" .. ri.hex(lock.addr)
      if lock.kind ~= "WaitGroup" and not seen[key] and not locks.queues(l, h.id) and not l.deadlocked[h.id] then
        seen[key] = true
        local waiting = waiting_for(l, lock)
        local c = not l.still(h.id) and kept(l, lock, h) or nil
        if #waiting > 0 and (c or l.still(h.id)) then out[#out + 1] = finding(l, lock, h, c, waiting) end
      end
    end
  end
  return out
end

holders[1] = { name = "lock-held", run = held }

return holders
