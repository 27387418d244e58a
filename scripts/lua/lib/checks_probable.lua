--- The checks of `ri check` for what probably never goes on: nobody who could still wake it has a function for it on the stack.

local locks = require("checks_locks")
local timers = require("timers")

-- How many channels are looked at.
local most = 2000

-- What goroutines wait for that others would have to do something to, and what.
local function wanted(l)
  local all = {}
  for _, c in ipairs(l.waits.channels) do
    if c.senders.count > 0 and c.receivers.count == 0 and not c.timer and not c.closed then
      all[#all + 1] = { addr = c.addr, kind = "receive", queue = c.senders, channel = c }
    end
  end
  for _, w in ipairs(l.waits.locks) do
    if w.kind == "WaitGroup" and w.waiting.count > 0 and w.count > 0 then
      all[#all + 1] = { addr = w.addr, kind = "done", queue = w.waiting, group = w }
    end
  end
  return all
end

-- hopeless leaves of what is waited for that which nobody can do anything to, other than goroutines that wait for such themselves.
local function hopeless(l, all, users)
  local on, out = {}, {} -- what a goroutine waits for, by its number
  for i, w in ipairs(all) do
    local stuck = w.queue.selects == 0 and w.queue.count > 0
    for _, id in ipairs(w.queue.ids) do stuck = stuck and l.still(id) end
    out[i] = stuck
    if stuck then
      for _, id in ipairs(w.queue.ids) do on[id] = i end
    end
  end
  local again = true
  while again do
    again = false
    for i in ipairs(all) do
      if out[i] then
        for _, u in ipairs(users[i]) do
          local waits_for = on[u.id]
          local lost = waits_for and out[waits_for] or l.never(u.id) or l.deadlocked[u.id]
          if not lost and waits_for ~= i then
            out[i], again = false, true
            break
          end
        end
      end
    end
  end
  return out
end

-- captured tells whether the function of a pending timer (time.AfterFunc) has been given something that is waited for: it, or an object that it is part of.
local function captured(l, w)
  if l.captured[w.addr] then return true end
  if not l.heap then return false end
  local o = l.heap:object(w.addr)
  if not o then return false end
  for addr in pairs(l.captured) do
    if ri.cmp(addr, o.addr) >= 0 and ri.cmp(addr, o.addr + o.size) < 0 then return true end
  end
  return false
end

local function probable(l)
  locks.share(l)
  local all = {}
  for _, w in ipairs(wanted(l)) do
    local certain = false -- then it has been told already
    for _, id in ipairs(w.queue.ids) do certain = certain or l.never(id) end
    if not certain and l.still(w.queue.ids[1]) then all[#all + 1] = w end
  end
  l.wanted, l.users = all, {}
  if #all > 0 then l.users = l.want_users(all) end
  local lost = hopeless(l, all, l.users)
  local queues, groups = {}, {}
  for i, w in ipairs(all) do
    if lost[i] and not captured(l, w) then
      local others = {}
      for _, u in ipairs(l.users[i]) do
        local own = false
        for _, id in ipairs(w.queue.ids) do own = own or id == u.id end
        if not own then others[#others + 1] = u.id end
      end
      table.insert(w.channel and queues or groups, { w = w, others = others })
    end
  end
  return queues, groups
end

local function once(l)
  if not l.probable then l.probable = { probable(l) } end
  return l.probable[1], l.probable[2]
end

local function full_queues(l)
  local out = {}
  for _, f in ipairs((once(l))) do
    local c, first = f.w.channel, f.w.queue.ids[1]
    local cycle = #f.others > 0
    local what
    if cycle then
      what = ("senders wait for each other: %s to a channel whose only receivers wait themselves"):format(locks.count(f.w.queue.count, "goroutine") .. (f.w.queue.count == 1 and " sends" or " send"))
    elseif c.cap > 0 then
      what = ("full queue with no consumer running: %s"):format(locks.count(f.w.queue.count, "sender") .. (f.w.queue.count == 1 and " waits" or " wait"))
    else
      what = ("nobody receives: %s"):format(locks.count(f.w.queue.count, "sender") .. (f.w.queue.count == 1 and " waits" or " wait"))
    end
    local evidence = {
      ("chan %s at %s: %d of %d queued, %s, no receivers"):format(c.elem, ri.hex(c.addr), c.len, c.cap, locks.count(f.w.queue.count, "sender")),
      cycle and ("the only goroutines with a function on their stacks that receives from it can't go on: %s"):format(locks.list(f.others))
        or "no other goroutine has a function on its stack that receives from it, or calls one that does",
      "goroutines " .. locks.list(f.w.queue.ids),
      ("goroutine %s %s"):format(tostring(first), l.waited(first)),
      locks.created(l, first),
      "probable, not certain: something may still start a receiver",
    }
    out[#out + 1] = { severity = "warning", what = what, where = locks.where(l, first), evidence = evidence, goroutines = f.w.queue.ids,
      next = "who was to receive, and why did it return? ri run channels shows all channels" }
  end
  return out
end

local function wait_groups(l)
  local _, groups = once(l)
  local out = {}
  for _, f in ipairs(groups) do
    local w, first = f.w.group, f.w.queue.ids[1]
    out[#out + 1] = {
      severity = "warning",
      what = ("WaitGroup whose workers have all returned: its counter is %d, and no goroutine is left to call Done"):format(w.count),
      where = locks.where(l, first), goroutines = f.w.queue.ids,
      evidence = {
        ("sync.WaitGroup%s at %s: counter %d, %s"):format(w.name ~= "" and " " .. w.name or "", ri.hex(w.addr), w.count, locks.count(w.waiting.count, "goroutine") .. " in Wait"),
        "no other goroutine has a function on its stack that calls Done on it, or a deferred Done",
        ("goroutine %s %s"):format(tostring(first), l.waited(first)), locks.created(l, first),
        "which worker didn't call Done is not recorded",
        "probable, not certain: something may still start a worker",
      },
      next = "look for a return without Done among the functions between Add and Wait; defer wg.Done() is safe",
    }
  end
  return out
end

return { { name = "full-queue", needs = "moment", run = full_queues }, { name = "wait-group", needs = "moment", run = wait_groups }, wanted = wanted, captured = timers.captured, most = most }
