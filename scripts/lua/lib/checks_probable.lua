--- The checks of `ri check` for what probably never goes on: nobody who could still wake it has a function for it on the stack.

local locks = require("checks_locks")
local needs = require("needs")
local waits = require("waits")

-- hopeless gives the needs of a kind that nobody is left to meet, but for those that other checks tell of: of who waits for each other, and of what is certain.
local function hopeless(l, kind)
  locks.share(l)
  local out = {}
  for _, need in ipairs(l.needs.all) do
    if need.kind == kind and need.hopeless and not need.certain then
      local told = false
      for _, id in ipairs(need.queue.ids) do told = told or l.deadlocked[id] or l.never(id) or not l.still(id) end
      if not told then out[#out + 1] = need end
    end
  end
  return out
end

-- doubt gives the first of the needs of a kind that might be hopeless, and of which it isn't known whether somebody may still come: for want of the heap
-- ("unsure"), or of types ("guess").
local function doubt(l, kind, of)
  for _, need in ipairs(l.needs.all) do
    if need.kind == kind and need[of] then
      local still = true
      for _, id in ipairs(need.queue.ids) do still = still and l.still(id) and not l.deadlocked[id] end
      if still then return need end
    end
  end
end

-- listed gives findings, or why they can't be told.
local function listed(l, kind, out)
  if l.waits.unheld then return nil, "who would could not be inferred: " .. l.waits.unheld, true end
  if #out == 0 and doubt(l, kind, "unsure") then
    return nil, l.noheap or "whether somebody may still come needs a copy of all memory: it was skipped with blocked-forever", true
  end
  local need = #out == 0 and doubt(l, kind, "guess")
  if need then
    return nil, ("%s waits, and nobody is seen who will %s; whether somebody may still come isn't known here: debug information would tell, --symbols EXE"):format(
      locks.where(l, need.queue.ids[1]), kind == "done" and "call Done" or kind)
  end
  return out
end

-- others gives those who would meet a need, and don't wait for it themselves.
local function others(l, need)
  local out = {}
  for _, id in ipairs(need.givers) do
    if not needs.owns(l.needs, need, id) then out[#out + 1] = id end
  end
  return out
end

-- waiting says how many wait: "1 sender waits".
local function waiting(queue, word) return locks.count(queue.count, word) .. (queue.count == 1 and " waits" or " wait") end

-- doing says what goroutines wait for, each in a line.
local function doing(l, ids)
  local out = {}
  for i = 1, math.min(#ids, 4) do
    local id = ids[i]
    local parts = {}
    for _, need in ipairs(l.needs.on[id] or {}) do
      parts[#parts + 1] = need.channel and waits.channel(need.channel) or waits.name(need.lock or need.group or need.wake)
    end
    local g = l.state[id]
    out[#out + 1] = ("%s waits: %s%s"):format(locks.where(l, id), g and g.wait_reason or "?", #parts > 0 and " for " .. table.concat(parts, ", ") or "")
  end
  return out
end

-- offers tells whether a goroutine offers something to whoever may want it, as a rate limiter does its turns: it sends nothing but the fact, on a channel that
-- holds none, and would go another way as well. That nobody wants it now is no trouble.
local function offers(l, need)
  local c, queue = need.channel, need.queue
  return c.cap == 0 and c.elem == "struct {}" and queue.count == 1 and l.needs.ways[queue.ids[1]] > 1
end

local function full_queues(l)
  local out, unmet = {}, hopeless(l, "receive")
  for i = #unmet, 1, -1 do
    if offers(l, unmet[i]) then table.remove(unmet, i) end
  end
  for _, need in ipairs(unmet) do
    local c, queue, left = need.channel, need.queue, others(l, need)
    local first = queue.ids[1]
    local what
    if #left > 0 then
      what = ("%s, and who would receive can't go on: %s"):format(c.cap > 0 and "full queue" or "nobody receives", waiting(queue, "sender"))
    elseif c.cap > 0 then
      what = ("full queue with no consumer running: %s"):format(waiting(queue, "sender"))
    else
      what = ("nobody receives: %s"):format(waiting(queue, "sender"))
    end
    local evidence = {
      ("%s (chan %s): %d of %d queued, %s, no receivers"):format(waits.channel(c), c.elem, c.len, c.cap, locks.count(queue.count, "sender")),
      #left > 0 and ("the only goroutines with a function on their stacks that will receive from it can't go on: %s"):format(locks.list(left))
        or "no goroutine but those that wait to send to it has a function on its stack that will receive from it, or calls one that does",
    }
    for _, line in ipairs(doing(l, left)) do evidence[#evidence + 1] = line end
    evidence[#evidence + 1] = "goroutines " .. locks.list(queue.ids)
    evidence[#evidence + 1] = ("goroutine %s %s"):format(tostring(first), l.waited(first))
    evidence[#evidence + 1] = locks.created(l, first)
    evidence[#evidence + 1] = "probable, not certain: something may still start a receiver"
    out[#out + 1] = {
      severity = "warning", what = what, where = locks.where(l, first), evidence = evidence, goroutines = queue.ids, waiters = queue.ids, users = left, roots = left,
      next = c.cap > 0 and "who was to receive, and why did it return? of a semaphore: which way out of what holds it leaves out the receive? ri run channels shows all channels"
        or "who was to receive, and why did it return? ri run channels shows all channels",
      pattern = table.concat({ what, locks.spot(l, first), c.name }, "\n"),
    }
  end
  return listed(l, "receive", out)
end

-- semaphores tells of those who wait for their share of a semaphore.Weighted that nobody is left to release.
local function semaphores(l)
  local out = {}
  for _, need in ipairs(hopeless(l, "send")) do
    if need.semaphore then
      local first, left = need.queue.ids[1], others(l, need)
      local what = #left > 0 and "semaphore.Weighted, and who would release it can't go on: 1 goroutine waits to acquire"
        or "semaphore.Weighted that nobody is left to release: 1 goroutine waits to acquire"
      out[#out + 1] = {
        severity = "warning", what = what, where = locks.where(l, first), goroutines = need.queue.ids, waiters = need.queue.ids, users = left, roots = left,
        evidence = {
          "no goroutine but those that wait has a function on its stack that will release it, or calls one that does, and nothing that may be called is found that would",
          ("goroutine %s %s"):format(tostring(first), l.waited(first)), locks.created(l, first), "probable, not certain: something may still start who releases it",
        },
        next = "which way out of what acquired it leaves out Release? defer sem.Release(n) is safe", pattern = what .. "\n" .. locks.spot(l, first),
      }
    end
  end
  return out
end

local function full(l)
  local out, why, missing = full_queues(l)
  if not out then return out, why, missing end
  for _, f in ipairs(semaphores(l)) do out[#out + 1] = f end
  return out
end

local function wait_groups(l)
  local out = {}
  for _, need in ipairs(hopeless(l, "done")) do
    local w, queue, left = need.group, need.queue, others(l, need)
    local first = queue.ids[1]
    local what, advice
    if #left > 0 then
      what = ("WaitGroup whose workers can't go on: %s that would call Done %s for what doesn't come"):format(locks.count(#left, "worker"), #left == 1 and "waits" or "wait")
      advice = "what do the workers wait for? see the evidence"
    else
      what = ("WaitGroup whose workers have all returned: its counter is %d, and no goroutine is left to call Done"):format(w.count)
      advice = "look for a return without Done among the functions between Add and Wait; defer wg.Done() is safe"
    end
    local evidence = { ("%s: counter %d, %s"):format(waits.name(w), w.count, locks.count(queue.count, "goroutine") .. " in Wait") }
    for _, line in ipairs(doing(l, left)) do evidence[#evidence + 1] = line end
    if #left == 0 then
      evidence[#evidence + 1] = "no other goroutine has a function on its stack that will call Done on it, or a deferred Done, and nothing that may be called is found that would"
      evidence[#evidence + 1] = "which worker didn't call Done is not recorded"
    elseif #left < w.count then
      evidence[#evidence + 1] = ("of the other %d that are counted none is left, or their code doesn't tell"):format(w.count - #left)
    end
    evidence[#evidence + 1] = ("goroutine %s %s"):format(tostring(first), l.waited(first))
    evidence[#evidence + 1] = locks.created(l, first)
    evidence[#evidence + 1] = "probable, not certain: something may still start a worker"
    out[#out + 1] = {
      severity = "warning", what = what, where = locks.where(l, first), goroutines = queue.ids, waiters = queue.ids, users = left, roots = left,
      evidence = evidence, next = advice, pattern = table.concat({ what, locks.spot(l, first), w.name }, "\n"),
    }
  end
  return listed(l, "done", out)
end

return { { name = "full-queue", needs = "moment", run = full }, { name = "wait-group", needs = "moment", run = wait_groups } }
