-- Channels that goroutines wait for.

local words = require("words")

local function where(id, states)
  local g = states[id]
  for _, f in ipairs(g and g.frames or {}) do
    if not f.func:find("^runtime[%./]") then return ("%s %s:%d"):format(f.func, f.file:match("[^/]*$"), f.line) end
  end
end

return {
  title = "channels that goroutines wait for",
  category = "go",
  description = [[
Lists the channels that goroutines wait for, to send or to receive, those with the most waiting first. A goroutine in a select
counts for each of its channels; SELECTS says how many do. Channels that nobody waits for are found from the variables that hold them: ri.chan, ri print.]],
  needs = { runtime = { "queue" } },
  params = {
    { name = "timers", type = "bool", default = false, help = "those of timers too (time.After, Ticker)" },
    { name = "full", type = "bool", default = false, help = "only those that senders wait for" },
    { name = "elem", type = "string", default = "", help = "only those whose elements' type contains this" },
  },
  columns = {
    { name = "addr", type = "address", help = "of the channel", key = true },
    { name = "name", help = "the variable or field that holds it, as far as variables tell" },
    { name = "elem", help = "type of the elements" },
    { name = "len", type = "int", help = "elements queued" },
    { name = "cap", type = "int", help = "of the buffer; 0: unbuffered" },
    { name = "closed", type = "bool" },
    { name = "senders", type = "int", help = "goroutines that wait to send" },
    { name = "receivers", type = "int", help = "goroutines that wait to receive" },
    { name = "selects", type = "int", help = "of both, those that wait for other channels too" },
    { name = "wait", type = "duration", help = "longest wait known, at least" },
    { name = "goroutines", help = "senders, then receivers", width = 24 },
    { name = "at", help = "where the first of them waits" },
  },
  sample = [[
ADDR          NAME            ELEM      LEN  CAP  CLOSED  SENDERS  RECEIVERS  SELECTS  WAIT  GOROUTINES  AT
0xc000020180  main.pool.jobs  main.job    4    4  false         8          0        0     -  21, 22, ... main.produce queue.go:31]],
  run = function(p)
    local list = ri.waits()
    local states = {}
    for _, g in ipairs(ri.stacks()) do
      for _, id in ipairs(g.ids) do states[id] = g end
    end
    table.sort(list.channels, function(a, b)
      local na, nb = a.senders.count + a.receivers.count, b.senders.count + b.receivers.count
      if na ~= nb then return na > nb end
      return ri.cmp(a.addr, b.addr) < 0
    end)
    local timers = 0
    for _, c in ipairs(list.channels) do
      -- With GODEBUG=asynctimerchan=1, or before Go 1.23, the runtime doesn't note it.
      local timer = c.timer or c.elem == "time.Time" and c.cap == 1 and c.senders.count == 0
      if timer and not p.timers then
        timers = timers + 1
      elseif (not p.full or c.senders.count > 0) and c.elem:find(p.elem, 1, true) then
        local ids = {}
        for _, queue in ipairs { c.senders, c.receivers } do
          for _, id in ipairs(queue.ids) do
            if #ids < 1000 then ids[#ids + 1] = id end
          end
        end
        local longest = math.max(c.senders.wait or 0, c.receivers.wait or 0)
        ri.emit {
          addr = c.addr, name = c.name ~= "" and c.name or nil, elem = c.elem, len = c.len, cap = c.cap, closed = c.closed, senders = c.senders.count, receivers = c.receivers.count,
          selects = c.senders.selects + c.receivers.selects, wait = longest > 0 and math.floor(longest * 1e9) or nil, goroutines = ids,
          at = #ids > 0 and where(ids[1], states) or nil,
        }
      end
    end
    if timers > 0 then print(words.count(timers, "timer's channel") .. " not shown (timers=true)") end
    if list.unread then print(list.unread) end
  end,
}
