--- Words for what goroutines wait for, as ri.waits gives it.

local waits = {}

local function short(line) return ("%s:%d"):format(line.file:match("[^/]*$"), line.line) end

--- Names a lock: its variable or type, and its address.
-- @param lock table, of ri.waits
-- @return string
function waits.name(lock)
  local what = (lock.kind == "Weighted" and "semaphore." or "sync.") .. lock.kind
  for _, h in ipairs(lock.holders) do
    if h.site.func == "sync.(*Once).doSlow" then what = "the Mutex of a sync.Once" end
  end
  if lock.name ~= "" then what = what .. " " .. lock.name end
  return what .. " at " .. ri.hex(lock.addr)
end

--- Writes where a holder is: "goroutine 7 in main.transfer (bank.go:12)".
-- @param holder table, of a lock's holders
-- @return string
function waits.holder(holder)
  return ("goroutine %s in %s (%s)"):format(tostring(holder.id), holder.at.func, short(holder.at))
end

--- Names a channel: the variable or field that holds it, and its address.
-- @param c table, of ri.waits
-- @return string
function waits.channel(c)
  return ("channel %sat %s"):format(c.name ~= "" and c.name .. " " or "", ri.hex(c.addr))
end

waits.short = short

return waits
