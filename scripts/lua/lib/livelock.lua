--- Goroutines that try again and again to get locks (TryLock in a loop) which others keep, who try to get theirs.
--
-- One look shows a moment: who tries may get it at the next. So several stops are compared: in each of them the one has
-- its lock and is in the loop that tries to get the other's. What is so in all of them counts as a wait for that lock.

local needs = require("needs")
local runtime = require("runtime")

local livelock = {}

-- How many goroutines are looked at, in how many stops at least, and how many of their frames have their variables read.
local most, enough, deepest = 16, 6, 4

-- holder finds who has a lock that somebody tries to get: one of those who try too, or one that waits for locks itself.
local function holder(l, try)
  for _, c in pairs(l.triers) do
    local h = c.holds[ri.hex(try.addr)]
    if h and not (try.reader and h.reader) then return c.id, h end
  end
  local lock = l.locks_held[ri.hex(try.addr)]
  for _, h in ipairs(lock and lock.holders or {}) do
    if not (try.reader and h.reader) and l.needs.on[h.id] then return h.id, h end
  end
  return nil
end

-- look asks what one goroutine holds and tries to get.
local function look(g)
  local found = ri.locking(g)
  local holds = {}
  for _, held in ipairs(found.holds) do holds[ri.hex(held.addr)] = held.holder end
  return holds, found.tries
end

-- numbers gives the integers among the variables of the innermost frames, by name and function.
local function numbers(g)
  local out, seen = {}, 0
  for i, f in ipairs(ri.stack(g, 16)) do
    if not f.func:find("^runtime[%./]") and not f.func:find("^sync[%./]") and seen < deepest then
      seen = seen + 1
      local ok, _, _, all = pcall(ri.locals, g, i)
      for _, v in ipairs(ok and all or {}) do
        if v.type:find("^u?int%d*$") and v.value ~= nil then out[v.name .. " in " .. f.func] = v.value end
      end
    end
  end
  return out
end

--- Notes in the first look who tries, and whether it may be in vain.
-- @param l table, the look of the check
function livelock.first(l)
  l.triers, l.locks_held = {}, {}
  l.try_late = l.second -- whoever runs is seen in a stop only, or may have been at a place of which nothing can be told
  if l.live or not l.second then return end
  local n = 0
  for _, g in ipairs(ri.triers()) do
    local holds, tries = look(g)
    if n < most and #tries > 0 then
      n = n + 1
      l.triers[g.id] = { id = g.id, addr = g.addr, holds = holds, tries = tries, looks = 0, has = {}, wants = {} }
    end
  end
  if n == 0 then return end
  for _, lock in ipairs(ri.waits({ all = true }).locks) do l.locks_held[ri.hex(lock.addr)] = lock end
  -- Who tries to get what somebody has who doesn't wait for a lock, nor try, waits like any.
  local changed = true
  while changed do
    changed = false
    for id, c in pairs(l.triers) do
      local any = false
      for _, try in ipairs(c.tries) do any = any or holder(l, try) ~= nil end
      if not any then l.triers[id], changed = nil, true end
    end
  end
  l.try_late = next(l.triers) == nil
end

-- busy gives those that run most of the time, so far.
local function busy(l)
  local out, n = {}, 0
  for id, c in pairs(l.candidates or {}) do
    if n < most and c.seen >= 3 and c.busy >= 0.8 * c.seen and not c.waited then out[id], n = c, n + 1 end
  end
  return out
end

-- late finds in a stop who tries, among those that run all the time.
local function late(l)
  local n = 0
  for id, c in pairs(busy(l)) do
    pcall(function()
      local g = ri.goroutine(id, c.addr)
      if not g then return end
      local found = ri.locking(g)
      local holds = {}
      for _, held in ipairs(found.holds) do
        local addr = ri.hex(held.addr)
        holds[addr] = held.holder
        l.locks_held[addr] = { addr = held.addr, kind = held.kind, name = "", holders = { held.holder } }
      end
      if #found.tries == 0 then return end
      n = n + 1
      l.triers[id] = { id = id, addr = c.addr, holds = holds, tries = found.tries, looks = 0, has = {}, wants = {} }
    end)
  end
end

--- Looks at them in a stop.
-- @param l table, the look of the check
function livelock.sample(l)
  local begin = l.try_late and next(busy(l)) ~= nil
  if not begin and (not l.triers or next(l.triers) == nil) or not pcall(ri.again, 0, "stopped") then return end
  if begin then
    l.try_late = false
    pcall(late, l)
  end
  for _, c in pairs(l.triers) do
    pcall(function()
      local g = ri.goroutine(c.id, c.addr)
      local frames, why
      if g then
        frames, why = ri.stack(g, 64)
      end
      if g and (#frames == 0 or why) then return end -- nothing can be told of this moment
      c.looks = c.looks + 1
      if not g then return end
      local holds, tries = look(g)
      for addr in pairs(holds) do c.has[addr] = (c.has[addr] or 0) + 1 end
      for _, try in ipairs(tries) do
        local addr = ri.hex(try.addr)
        c.wants[addr] = (c.wants[addr] or 0) + 1
      end
      c.numbers = numbers(g)
      c.began = c.began or c.numbers
    end)
  end
  ri.again(0, "live")
  l.tried_last = runtime.nanotime()
  l.tried_first = l.tried_first or l.tried_last
end

--- Looks at them again where too few of the stops came about: on a machine that is busy, say.
-- @param l table, the look of the check
function livelock.finish(l)
  for _ = 1, 2 * enough do
    local open = false
    for _, c in pairs(l.triers or {}) do open = open or c.looks < enough end
    if not open then return end
    ri.again(0.01, "live")
    livelock.sample(l)
  end
end

-- grown says which variables of a goroutine have grown between the first and the last stop.
local function grown(c)
  local names = {}
  for name, now in pairs(c.numbers or {}) do
    local was = c.began[name]
    if was ~= nil and ri.cmp(now, was) > 0 then names[#names + 1] = ("%s grew from %s to %s"):format(name, tostring(was), tostring(now)) end
  end
  table.sort(names)
  return names[1]
end

--- Adds to what is needed what is tried for in vain, so that circles are found through it.
-- @param l table, the look of the check
function livelock.add(l)
  l.insists = {}
  for id, c in pairs(l.triers or {}) do
    for _, try in ipairs(c.tries) do
      local addr = ri.hex(try.addr)
      local who, h = holder(l, try)
      local other = who and l.triers[who]
      local kept = other and other.has[addr] == other.looks or who and not other and l.still(who)
      if who and kept and c.looks >= enough and c.wants[addr] == c.looks and l.locks_held[addr] then
        needs.note(l.needs, {
          kind = "lock", lock = l.locks_held[addr], givers = { who }, holders = { [tostring(who)] = h }, tries = try, looks = c.looks, grown = grown(c),
          over = l.tried_last - l.tried_first,
        }, { count = 1, ids = { id }, several = {} })
        l.insists[id] = true
        break
      end
    end
  end
end

return livelock
