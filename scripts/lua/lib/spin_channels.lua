--- Channels that a goroutine which runs all the time asks in vain: closed ones, and those of timers that are due at once.

local fields = require("fields")
local locks = require("checks_locks")
local runtime = require("runtime")
local stack = require("frames")
local timers = require("timers")

local channels = {}

--- The address of the runtime.hchan that a variable of a channel's type leads to.
-- @param v any
-- @return int
function channels.made(v)
  local bytes, addr = ri.memory(ri.addr(v), 8), 0
  for i = 8, 1, -1 do addr = addr * 256 + bytes:byte(i) end
  return addr
end

-- before is whether the program's channels don't know their timers (before Go 1.23).
local before

-- due is when the timer of a channel is due; nil where it has none.
local function due(c, addr)
  if before == nil then before = not runtime.has(c, "timer") end
  if not before then return fields.of(c, "timer", "when") end
  if c.elemsize ~= 24 or c.dataqsiz ~= 1 then return nil end -- of a time.Time, as time.NewTimer makes it
  return timers.sends()[ri.hex(addr)]
end

--- A runtime.hchan: whether it is closed and gives zero values at once; and, where it is a timer's, whether that is due: "due", "later".
-- @param addr int
-- @return any, nil where there is none
-- @return boolean
-- @return string?
function channels.at(addr)
  local ok, c = pcall(ri.at, addr, "runtime.hchan")
  if not ok or not c then return nil end
  local known, when = pcall(due, c, addr)
  when = known and when or nil
  return c, c.closed ~= 0 and c.qcount == 0, when and (ri.cmp(when, runtime.nanotime()) <= 0 and "due" or "later")
end

--- Functions of the runtime that receive from a channel; true for those that wait for it.
channels.receives = { ["runtime.chanrecv1"] = true, ["runtime.chanrecv2"] = true, ["runtime.selectnbrecv"] = false, ["runtime.chanrecv"] = 0 }

--- Looks at the channel of a receive.
-- @param g goroutine
-- @param i int, the frame
-- @param func string, its function
-- @param outer string?, the function of its caller
-- @return table?, as of spin_ends.of
function channels.received(g, i, func, outer)
  for _, v in ipairs(stack.arguments(g, i)) do
    if v.name == "c" and v.value ~= nil then
      local addr = ri.addr(v.value)
      local c, closed, timer = channels.at(addr)
      if not c then return nil end
      local blocks = channels.receives[func] == true or channels.receives[func] == 0 and channels.receives[outer] == true
      if closed then return { kind = "closed", dead = true, what = "receives from a channel that is closed", key = addr } end
      if timer == "due" then return { kind = "timer", dead = true, what = "receives from a timer's channel, and the timer is due at once each time", key = addr, exact = true } end
      if blocks then return { kind = "channel", dead = false, key = addr } end
      return { kind = "default", dead = true, what = "asks a channel, and does something else where nothing is there", key = addr }
    end
  end
end

--- Looks at the channels of a select.
-- @param g goroutine
-- @param i int, the frame
-- @return table?, as of spin_ends.of
function channels.selected(g, i)
  local known, at = pcall(g.locals, g, i)
  if not known or at.cas0 == nil then return nil end
  local sends, all, blocks = at.nsends or 0, at.ncases or at.nsends and at.nrecvs and at.nsends + at.nrecvs, at.block
  if not all then return nil end
  local addr, size, timer = ri.addr(at.cas0), ri.type("runtime.scase").size, nil
  for k = sends, math.min(all, 64) - 1 do
    local case = ri.at(addr + k * size, "runtime.scase")
    if case.c ~= nil then
      local c, closed, due = channels.at(ri.addr(case.c))
      if c and closed then return { kind = "closed", dead = true, what = "selects, and a case of it is a channel that is closed", key = ri.addr(case.c) } end
      timer = timer or c and due == "due" and ri.addr(case.c)
    end
  end
  if timer then return { kind = "timer", dead = true, what = "selects, and a timer is due at once each time", key = timer, exact = true } end
  if blocks == true then return { kind = "channel", dead = false, key = addr } end
end

--- Tells of a timer that is just being made or set again whether it is due at once: by the time that it was given.
-- @param g goroutine
-- @param i int, the frame
-- @return table, as of spin_ends.of
function channels.set(g, i)
  local known, at = pcall(g.locals, g, i)
  local d = known and at.d
  if d == nil then return { kind = "setting" } end -- a look at what waits for it may tell
  if ri.cmp(d, 0) <= 0 then return { kind = "timer", dead = true, what = "sets a timer again and again, and a timer is due at once each time" } end
end

--- What makes a timer or sets one, and is given after how long it is due.
channels.sets = { ["time.NewTimer"] = true, ["time.(*Timer).Reset"] = true }

--- Finds the name of a channel among the variables of the program's own frames.
-- @param g goroutine
-- @param frames table, of ri.stack
-- @param addr int
-- @return string?
-- @return string?, the function that has it
function channels.variable(g, frames, addr)
  local seen = 0
  for i, f in ipairs(frames) do
    if not locks.standard(f.func) then
      seen = seen + 1
      if seen > 3 then return nil end
      local ok, _, _, list = pcall(g.locals, g, i)
      for _, v in ipairs(ok and list or {}) do
        local found, name = pcall(function()
          if type(v.value) ~= "userdata" then return nil end
          if v.type:find("^<?%-?chan ") or v.type:find("^chan") or v.type:find("^<%-chan") then return channels.made(v.value) == addr and v.name or nil end
          if v.type == "context.Context" then
            local done = fields.of(v.value, "done") or fields.of(v.value, "cancelCtx", "done")
            return done and (ri.addr(done) == addr or channels.made(done) == addr) and v.name .. ".Done()" or nil
          end
        end)
        if found and name then return name, f.func end
      end
    end
  end
end

--- Takes what a goroutine was woken by for a timer that was due at once: of those before Go 1.23 nothing is left by then. For one that was seen to wait for such
-- timers, and never for one that wasn't due.
-- @param frames table, of ri.stack
-- @param found table, of spin_ends.of; what is found is added
function channels.overdue(frames, found)
  for i = 1, math.min(4, #frames) do
    local func = frames[i].func
    if channels.receives[func] == true or func == "runtime.selectgo" then
      for k = #found, 1, -1 do
        if found[k].kind == "channel" then table.remove(found, k) end
      end
      local what = func == "runtime.selectgo" and "selects, and a timer is due at once each time" or "receives from a timer's channel, and the timer is due at once each time"
      found[#found + 1] = { frame = i, kind = "timer", dead = true, what = what, key = 0 }
      return
    end
  end
end

-- What of the standard library waits for an answer that other goroutines of its own fetch: what comes by its channels may be that there is none.
local fetched = { "^net/http%.%(%*Transport%)%.getConn$", "^net%.%(%*[rR]esolver", "^internal/singleflight%." }

--- Tells whether what was found is a wait for such an answer.
-- @param frames table, of ri.stack
-- @param one table, as of spin_ends.of
-- @return boolean
function channels.answers(frames, one)
  if one.kind ~= "channel" then return false end
  for i = one.frame, math.min(one.frame + 2, #frames) do
    for _, pattern in ipairs(fetched) do
      if frames[i].func:find(pattern) then return true end
    end
  end
  return false
end

return channels
