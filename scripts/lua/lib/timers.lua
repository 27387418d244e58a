--- The timers that the Ps keep.

local timers = {}

local runtime = require 'runtime'

--- Iterates over the timers of a P: `for t, when in timers.of(p)`, or over those of which worth(when) is true. Since Go 1.23 p.timers is a struct with a heap of its own; before, a list.
-- @param p *runtime.p
-- @param worth function?, of int: whether one that is due then is of interest
-- @return iterator of *runtime.timer (since Go 1.23 what is in p.timers.heap), int: when it is due, by the target's nanotime
function timers.of(p, worth)
  local all = p.timers
  local list = ri.type(all).kind == 'struct' and all.heap or all
  local each, state, i = ri.pairs(list)
  local inside, newer -- the list's elements have the time and lead to the timer (Go 1.14); the timer has bits of state (Go 1.23)
  return function()
    while true do
      local entry
      i, entry = each(state, i)
      if i == nil then return nil end
      if entry ~= nil then
        if inside == nil then inside = runtime.has(entry, 'timer') end
        if not inside or not worth or worth(entry.when) then
          local t = entry
          if inside then t = entry.timer end
          if t ~= nil then
            if newer == nil then newer = runtime.has(t, 'state') end
            local when, deleted = t.when, false
            if newer then
              deleted = ri.bit.band(t.state, 4) ~= 0 -- runtime.timerZombie
            else
              deleted = t.status == 3 or t.status == 5                       -- runtime.timerDeleted, timerRemoved
              if t.status == 7 or t.status == 8 then when = t.nextwhen end -- timerModifiedEarlier, timerModifiedLater
            end
            if not deleted then return t, when end
          end
        end
      end
    end
  end
end

-- How much of a closure is looked at, and of how many.
local words, most = 16, 10000

--- Gives what the functions of time.AfterFunc have captured, as far as it is pointers: a set of addresses.
-- @return table: address to true
function timers.captured()
  local out, n = {}, 0
  for p in runtime.processors() do
    for t in timers.of(p) do
      n = n + 1
      if n > most then return out end
      pcall(function() -- on live memory a timer may be gone
        if t.f == nil or ri.func(t.f).name ~= 'time.goFunc' or t.arg == nil then return end
        -- The argument is the func value: a pointer to the closure, whose first word is the code.
        local closure = ri.at(ri.addr(t.arg), 'uintptr')
        for i = 1, words - 1 do
          local word = ri.at(closure + 8 * i, 'uintptr')
          if type(word) == 'number' and word > 4096 then out[word] = true end
        end
      end)
    end
  end
  return out
end

-- How many timers are gone through for those that send.
local sending = 2000

--- Gives the channels that timers will send to where these know nothing of it (before Go 1.23): of time.NewTimer, time.After, time.NewTicker.
-- @return table: the address of the runtime.hchan, as hexadecimal text, to when that is due
function timers.sends()
  local out, n = {}, 0
  for p in runtime.processors() do
    for t, when in timers.of(p) do
      n = n + 1
      if n > sending then return out end
      pcall(function() -- on live memory a timer may be gone
        if t.f == nil or ri.func(t.f).name ~= 'time.sendTime' or t.arg == nil then return end
        out[ri.hex(ri.at(ri.addr(t.arg), 'uintptr'))] = when -- the interface's data word is the channel
      end)
    end
  end
  return out
end

return timers
