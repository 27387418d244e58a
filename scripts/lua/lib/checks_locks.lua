--- The checks of `ri check` that have to do with locks.

local livelock = require("livelock")
local needs = require("needs")
local timers = require("timers")
local waits = require("waits")
local whose = require("whose")
local words = require("words")

local function count(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- list writes some goroutines' numbers.
local function list(ids, most)
  local parts = {}
  for i = 1, math.min(#ids, most or 10) do parts[i] = tostring(ids[i]) end
  return table.concat(parts, ", ") .. (#ids > #parts and ", ..." or "")
end

-- What tells nothing about a program: where all goroutines are that wait, sleep, read or write.
local beneath = { "^runtime[%./]", "^sync%.", "^internal/", "^sync/atomic%.", "^syscall%.", "^time%.", "^os%.", "^net%." }

-- standard tells whether a function is of the standard library.
local function standard(func)
  return words.standard(func:match("^(.*/[^./]*)%.") or func:match("^([^.]*)%.") or func)
end

-- tells is whether a frame is none of those that patterns have.
local function tells(f, patterns)
  for _, pattern in ipairs(patterns) do
    if f.func:find(pattern) then return false end
  end
  return true
end

-- frame_of is the innermost of a group's frames that is the program's own, and not in what locks are made of, or else tells something; of "go wg.Wait()", say, at least what was called.
local function frame_of(g)
  for _, f in ipairs(g and g.frames or {}) do
    if not standard(f.func) and not f.func:find("^golang%.org/x/sync/") then return f end
  end
  for _, patterns in ipairs { beneath, { "^runtime[%./]", "^internal/", "^sync%.runtime_" } } do
    for _, f in ipairs(g and g.frames or {}) do
      if tells(f, patterns) then return f end
    end
  end
  return g and g.frames[1]
end

-- where writes where a goroutine is, in the program's own code.
local function where(l, id)
  local frame = frame_of(l.state[id])
  if not frame then return "goroutine " .. tostring(id) end
  return ("goroutine %s in %s (%s)"):format(tostring(id), frame.func, waits.short(frame))
end

-- spot names where a goroutine is, in the program's own code, without its number: what findings of one pattern have in common.
local function spot(l, id)
  local frame = frame_of(l.state[id])
  return frame and frame.func .. " " .. waits.short(frame) or "?"
end

-- called names a lock without its address.
local function called(lock) return lock.kind .. " " .. lock.name end

-- created writes where goroutines come from.
local function created(l, id)
  local g = l.state[id]
  if g and g.created_by then return ("goroutine %s was created by %s at %s"):format(tostring(id), g.created_by.func, waits.short(g.created_by)) end
end

-- once tells whether a lock is that of a sync.Once, whose function runs with it taken.
local function once(holder) return holder ~= nil and holder.site.func == "sync.(*Once).doSlow" end

-- holder_place writes where a holder is, in the program's own code.
local function holder_place(l, h)
  if tells(h.at, beneath) then return waits.holder(h) end
  return where(l, h.id)
end

-- Wait reasons behind which nothing comes (runtime.waitReasonStrings).
local final = { ["chan receive (nil chan)"] = true, ["chan send (nil chan)"] = true, ["select (no cases)"] = true }

-- locking are the wait reasons of those who wait for a lock.
local locking = { ["sync.Mutex.Lock"] = true, ["sync.RWMutex.Lock"] = true, ["sync.RWMutex.RLock"] = true }

-- captured tells whether the function of a pending timer (time.AfterFunc) has been given something that is needed: it, or an object that it is part of.
local function captured(l, captures, need)
  if captures[need.addr] then return true end
  local o = l.heap and l.heap:object(need.addr)
  if not o then return false end
  for addr in pairs(captures) do
    if ri.cmp(addr, o.addr) >= 0 and ri.cmp(addr, o.addr + o.size) < 0 then return true end
  end
  return false
end

-- waiting tells of goroutines that a look has seen waiting, by what solves needs.
local function judge(l, still)
  return {
    never = l.never, still = still,
    final = function(id)
      local g = l.state[id]
      return g ~= nil and final[g.wait_reason] == true
    end,
  }
end

-- inside tells whether a goroutine waits in a function of the standard library.
local function inside(l, id)
  for _, f in ipairs(l.state[id] and l.state[id].frames or {}) do
    if not f.func:find("^runtime[%./]") then return standard(f.func) end
  end
  return false
end

-- semaphore tells whether a goroutine waits for its share of a semaphore.Weighted.
local function semaphore(l, id)
  for _, f in ipairs(l.state[id] and l.state[id].frames or {}) do
    if f.func == "golang.org/x/sync/semaphore.(*Weighted).Acquire" then return true end
  end
  return false
end

-- gather gathers what goroutines need of others, and finds out in the first look, of which there is the heap, of what may turn out to be hopeless whether somebody
-- may come who isn't there yet.
local function gather(l)
  local n = needs.gather(l.waits)
  l.needs = n
  if l.live then
    -- That nobody is left who does something can't be said of memory that moves.
    for _, need in ipairs(n.all) do
      if need.kind ~= "lock" and not need.open then need.open, need.unsure = true, true end
    end
    return
  end
  local judged = judge(l, function() return true end)
  local doubtful, depend = needs.doubts(n, judged, function(need)
    need.semaphore = semaphore(l, need.queue.ids[1])
    return need.semaphore
  end)
  for _, need in ipairs(doubtful) do
    if l.heap then need.doubtful, need.open = nil, need.open or inside(l, need.queue.ids[1]) or whose.library(l.heap, need.addr) end
  end
  needs.solve(n, judged)
  local list, questions, captures = {}, {}, nil
  for _, need in ipairs(n.all) do
    if need.hopeless and not need.certain and need.kind ~= "lock" then
      list[#list + 1] = need
      questions[#list] = { addr = need.addr, kind = need.kind, elem = need.channel and need.channel.elem }
    end
  end
  if not l.heap then
    for _, need in ipairs(depend) do
      if need.kind ~= "lock" then list[#list + 1] = need end
    end
  end
  if #list == 0 then return end
  if not l.heap then
    for _, need in ipairs(list) do need.open, need.unsure = true, true end
    return
  end
  for _, need in ipairs(list) do
    if need.channel then whose.known(l.heap, need.channel) end
  end
  captures = timers.captured()
  for i, answer in ipairs(ri.later(questions, l.heap, l.waits.may)) do
    list[i].open, list[i].unsure = list[i].open or answer.why ~= nil or captured(l, captures, list[i]), nil
    list[i].may, list[i].guess = answer.may, answer.guess
  end
  needs.add(n, list)
end

-- prepare has nobody conclude from it what others need if that could not be found out.
local function prepare(l)
  local ok, why = pcall(gather, l)
  if not ok then
    l.unprepared = why
    error(why, 0)
  end
end

-- closed tells whether a knot is worth telling of which it isn't known whether somebody may still come: one with a lock, whose holder would be told
-- anyway, or one of semaphores alone.
local function closed(l, knot)
  local shares, locked = 0, false
  for _, step in ipairs(knot) do
    if l.deadlocked[step.id] then return false end
    locked = locked or step.need.lock ~= nil
    if step.need.share then shares = shares + 1 end
  end
  return locked or shares == #knot
end

-- shared works out who is stuck, once.
local function shared(l)
  if l.unprepared then error(l.unprepared, 0) end
  if l.knots then return end
  livelock.add(l)
  local judged = judge(l, function(id)
    if l.second then return l.insists[id] or l.still(id) end
    -- Of a core: who waits for a lock in a circle can't go on anyway.
    local g = l.state[id]
    return g ~= nil and locking[g.wait_reason] or l.still(id)
  end)
  l.deadlocked, l.left, l.knots = {}, {}, {}
  local function note(knot)
    l.knots[#l.knots + 1] = knot
    for _, step in ipairs(knot) do l.deadlocked[step.id] = true end
  end
  needs.solve(l.needs, judged)
  for _, knot in ipairs(needs.knots(l.needs)) do note(knot) end
  local unsure = false
  for _, need in ipairs(l.needs.all) do unsure = unsure or need.unsure end
  if unsure then
    judged.unsure = true
    needs.solve(l.needs, judged)
    for _, knot in ipairs(needs.knots(l.needs)) do
      if closed(l, knot) then
        knot.unsure = true
        note(knot)
      end
    end
    judged.unsure = nil
    needs.solve(l.needs, judged)
  end
  local ids = {}
  for id in pairs(l.deadlocked) do ids[#ids + 1] = id end
  l.stuck = {}
  for _, id in ipairs(needs.behind(l.needs, ids)) do l.stuck[id] = true end
end

-- queues tells whether a goroutine waits for a lock.
local function queues(l, id)
  for _, need in ipairs(l.needs.on[id] or {}) do
    if need.kind == "lock" then return true end
  end
  return false
end

-- has says how sure it is that somebody holds a lock.
local function has(holder)
  return holder.possibly and "took, as it seems (inferred; no other holder is found)" or "holds (inferred)"
end

-- told writes what one goroutine of a knot needs of the next.
local function told(step)
  local id, to, need = tostring(step.id), tostring(step.to), step.need
  if need.share then
    return ("goroutine %s waits for its share of %s: goroutine %s would release one, as its code comes to that (inferred), and waits itself"):format(id, waits.name(need.share), to)
  elseif need.kind == "wake" then
    return ("goroutine %s waits for %s: goroutine %s would call Signal or Broadcast, as its code comes to that (inferred), and waits itself"):format(id, waits.name(need.wake), to)
  elseif need.kind == "receive" then
    return ("goroutine %s sends to %s: goroutine %s would receive from it, as its code comes to that (inferred), and waits itself"):format(id, waits.channel(need.channel), to)
  elseif need.kind == "send" then
    return ("goroutine %s receives from %s: goroutine %s would send to it or close it, as its code comes to that (inferred), and waits itself"):format(id, waits.channel(need.channel), to)
  elseif need.kind == "done" then
    return ("goroutine %s waits for %s: goroutine %s would call Done, as its code comes to that (inferred), and waits itself"):format(id, waits.name(need.group), to)
  end
  local holder = needs.holder(need, step.to)
  if need.tries then
    local try = need.tries
    return ("goroutine %s tries again and again to get %s (TryLock at %s in %s), which goroutine %s %s: %s"):format(id, waits.name(need.lock),
      waits.short(try.site), try.site.func, to, has(holder), holder.evidence)
  elseif not holder then
    return ("goroutine %s waits to read %s: goroutine %s waits to write it, and who comes after that has to wait"):format(id, waits.name(need.lock), to)
  end
  return ("goroutine %s waits for %s, which goroutine %s %s: %s"):format(id, waits.name(need.lock), to, has(holder), holder.evidence)
end

-- thing names what a step of a knot is about, without addresses.
local function thing(need)
  if need.share or need.wake then return called(need.share or need.wake) end
  if need.channel then return "channel " .. need.channel.name end
  return called(need.lock or need.group)
end

-- through says by what goroutines wait for each other: "a lock and 2 channels".
local function through(knot)
  local n, parts = { lock = 0, channel = 0, WaitGroup = 0, Cond = 0, semaphore = 0 }, {}
  for _, step in ipairs(knot) do
    local need = step.need
    local kind = need.lock and "lock" or need.share and "semaphore" or need.channel and "channel" or need.wake and "Cond" or "WaitGroup"
    n[kind] = n[kind] + 1
  end
  for _, kind in ipairs { "lock", "channel", "WaitGroup", "Cond", "semaphore" } do
    if n[kind] > 0 then parts[#parts + 1] = n[kind] == 1 and "a " .. kind or ("%d %ss"):format(n[kind], kind) end
  end
  return table.concat(parts, " and "), n
end

-- single words a deadlock of one goroutine.
local function single(need, holder, behind)
  if need.tries then
    return "livelock: a goroutine tries again and again to get a lock that it holds itself (TryLock)",
      "a method that tries to lock must not be called with the lock held"
  elseif need.group then
    return "deadlock: a goroutine waits for a WaitGroup of which it would itself call Done", "who waits for a WaitGroup must not be one of those that it waits for"
  elseif holder and holder.reader and not need.reads then
    return "deadlock: a goroutine that holds an RWMutex for reading waits to write it (RLock, then Lock)",
      "give the read lock back before taking the write lock, and look again at what was read"
  elseif once(holder) then
    return "deadlock: sync.Once: the function that Do runs waits for that Do to return", "the function that Do runs must not call Do of the same Once, nor what does"
  elseif holder and holder.possibly then
    return "deadlock: a goroutine waits for a lock that it took itself and, on one of the ways through its code, didn't give back",
      "look for a way out of what locks it, or round the loop, that leaves out Unlock"
  end
  return ("deadlock: a goroutine waits for a lock that it holds itself (%s)"):format(need.reads and "Lock, then RLock" or "Lock twice"),
    "a method that locks must not be called with the lock held: split it into one that locks and one that doesn't"
end

-- recursive tells whether a goroutine reads an RWMutex again behind a writer that waits for it.
local function recursive(knot)
  if #knot ~= 2 or not knot[1].need.lock or knot[1].need.lock ~= knot[2].need.lock then return false end
  for _, step in ipairs(knot) do
    local holder = needs.holder(step.need, step.to)
    if holder and holder.reader then return true end
  end
  return false
end

-- tries counts who tries to get a lock, instead of waiting for it.
local function tries(knot)
  local n = 0
  for _, step in ipairs(knot) do
    if step.need.tries then n = n + 1 end
  end
  return n
end

-- worded gives what a knot is, and what to do about it.
local function worded(knot)
  local step = knot[1]
  if #knot == 1 then return single(step.need, needs.holder(step.need, step.to)) end
  local by, n = through(knot)
  if tries(knot) == #knot then
    return ("livelock: %d goroutines keep a lock each and try again and again to get each other's (TryLock)"):format(#knot),
      "lock in the same order everywhere; or give the own lock back and wait for a random time"
  elseif recursive(knot) then
    return "deadlock: recursive RLock: a goroutine that holds an RWMutex for reading reads it again behind a writer that waits for it",
      "don't call what takes the read lock while it is held: split it into one that locks and one that doesn't"
  elseif n.lock == #knot then
    return ("deadlock: %d goroutines wait for each other's locks"):format(#knot), "lock in the same order everywhere, or not while another lock is held; ri run locks shows all locks"
  end
  if n.semaphore == #knot then
    return ("deadlock: %d goroutines wait for each other's shares of semaphores"):format(#knot), "acquire them in the same order everywhere"
  end
  return ("deadlock: %d goroutines wait for each other, through %s"):format(#knot, by),
    n.lock > 0 and "don't send, receive or wait for others while a lock is held that they need" or "who should have gone on first? ri run channels shows all channels"
end

local function deadlocks(l)
  shared(l)
  local out = {}
  for _, knot in ipairs(l.knots) do
    local places, evidence, steps, holders, users, all = {}, {}, {}, {}, {}, {}
    local certain = not knot.unsure
    for _, step in ipairs(knot) do
      all[#all + 1] = step.id
      places[#places + 1] = where(l, step.id)
      steps[#steps + 1] = spot(l, step.id) .. " " .. thing(step.need)
      evidence[#evidence + 1] = told(step)
      if step.need.tries then
        l.told[step.id] = true
        evidence[#evidence + 1] = ("it was so in each of %d stops over %s%s"):format(step.need.looks, words.duration(math.max(0, step.need.over)),
          step.need.grown and ", and " .. step.need.grown or "")
      end
      evidence[#evidence + 1] = created(l, step.id)
      certain = certain and (step.need.lock ~= nil and not step.need.tries or l.never(step.id))
      if needs.holder(step.need, step.to) then holders[#holders + 1] = step.to end
      if not step.need.lock then users[#users + 1] = step.to end
    end
    table.sort(steps)
    if not knot[1].need.tries then evidence[#evidence + 1] = ("goroutine %s %s"):format(tostring(knot[1].id), l.waited(knot[1].id)) end
    local what, advice = worded(knot)
    local pattern = what .. "\n" .. table.concat(steps, "\n")
    local behind = needs.behind(l.needs, all)
    if #behind > 0 then
      what = what .. (", and %d more behind"):format(#behind)
      evidence[#evidence + 1] = ("behind: %s %s"):format(#behind == 1 and "goroutine" or "goroutines", list(behind))
    end
    if not certain and tries(knot) > 0 then
      evidence[#evidence + 1] = "probable, not certain: one of them may give up, or be lucky"
    elseif not certain then
      evidence[#evidence + 1] = "probable, not certain: somebody may still come who does what they wait for"
    end
    out[#out + 1] = {
      severity = certain and "critical" or "warning", what = what, where = table.concat(places, ", "), evidence = evidence, goroutines = all,
      waiters = needs.united(all, behind), holders = needs.united(holders), users = #users > 0 and needs.united(users) or nil, next = advice, pattern = pattern,
    }
  end
  return out
end

-- unknown says why the holder of a lock isn't known.
local function unknown(l, lock)
  if l.waits.unheld then return "holders could not be inferred: " .. l.waits.unheld end
  if lock.unseen > 0 then return ("%s could not be searched for who took it"):format(count(lock.unseen, "goroutine")) end
  if #lock.candidates > 0 then return "or it is somebody whose code doesn't tell: who returned with it, handed it over, or took it through a func value" end
  return "no function on a stack is found that has it; who took it may have returned without Unlock, handed it over, or taken it in a way that code doesn't tell: a func value, a helper that locks many"
end

local function abandoned(l)
  shared(l)
  local out = {}
  for _, lock in ipairs(l.waits.locks) do
    local waiting = {}
    for _, queue in ipairs { lock.want, lock.rwant } do
      for _, id in ipairs(queue.ids) do
        if l.still(id) then waiting[#waiting + 1] = id end
      end
    end
    local taken = lock.locked or lock.kind == "RWMutex" and lock.readers > 0
    if lock.kind ~= "WaitGroup" and #lock.holders == 0 and #waiting > 0 and taken then
      local evidence = { waits.name(lock) .. " is locked; waiting: goroutines " .. list(waiting) .. "; goroutine " .. tostring(waiting[1]) .. " " .. l.waited(waiting[1]) }
      for i = 1, math.min(#lock.candidates, 8) do
        local c = lock.candidates[i]
        evidence[#evidence + 1] = ("%s: %s"):format(#lock.candidates == 1 and "it may be" or "it may be one of these", c.evidence)
      end
      if #lock.candidates > 8 then evidence[#evidence + 1] = ("and %d more that may be it"):format(#lock.candidates - 8) end
      evidence[#evidence + 1] = unknown(l, lock)
      local certain = false
      for _, id in ipairs(waiting) do
        l.left[id] = true
        certain = certain or l.never(id)
      end
      if certain then evidence[#evidence + 1] = "certain: nothing that can still run leads to the lock, so nobody will unlock it" end
      out[#out + 1] = {
        severity = certain and "critical" or "warning", what = ("lock whose holder isn't found, %s for it"):format(count(#waiting, "goroutine") .. (#waiting == 1 and " waits" or " wait")),
        where = where(l, waiting[1]), evidence = evidence, goroutines = waiting, waiters = waiting, pattern = spot(l, waiting[1]) .. "\n" .. called(lock),
        next = "look for a return without Unlock on the way out of what locks it",
      }
    end
  end
  return out
end

return {
  { name = "deadlock", run = deadlocks },
  { name = "lock-left", needs = "moment", run = abandoned },
  locking = locking, share = shared, prepare = prepare, frame = frame_of, where = where, created = created, list = list, count = count, standard = standard,
  spot = spot, called = called, queues = queues, has = has, once = once, holder_place = holder_place,
}
