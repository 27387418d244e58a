--- Channels: what is queued, and who waits.
--
-- A channel is a pointer to a runtime.hchan: a ring buffer of `dataqsiz` elements with `qcount` in use, and the lists
-- `recvq` and `sendq` of waiting goroutines (runtime.sudog, linked by `next`).

local walk = require 'walk'

local channel = {}

--- Iterates over the goroutines that wait in a queue: `for g, sudog in channel.waiters(c, 'recvq')`.
-- @param c chan T
-- @param queue string, 'recvq' (they want to receive) or 'sendq'
-- @return iterator of *runtime.g, *runtime.sudog
function channel.waiters(c, queue)
  if c == nil then return function() end end
  local hchan = ri.at(ri.chan(c).addr, 'runtime.hchan')
  local each = walk.linked(hchan[queue].first, 'next')
  return function()
    local _, sudog = each()
    if sudog ~= nil then return sudog.g, sudog end
  end
end

--- State of a channel with its waiters counted.
-- @param c chan T
-- @return table: len, cap, closed, receivers, senders
function channel.state(c)
  local s = ri.chan(c)
  return {
    len = s.len, cap = s.cap, closed = s.closed,
    receivers = walk.count(channel.waiters(c, 'recvq')), senders = walk.count(channel.waiters(c, 'sendq')),
  }
end

return channel
