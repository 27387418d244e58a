--- The checks of `ri check` that have to do with locks.

local waits = require("waits")

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
local module -- of the program, once asked for
local function standard(func)
  module = module or ri.buildinfo().path or ""
  local main = module
  local path = func:match("^(.*/[^./]*)%.") or func:match("^([^.]*)%.") or func
  local first = path:match("^[^/]*")
  return not (path == "main" or first:find(".", 1, true) or (main ~= "" and (path == main or path:sub(1, #main + 1) == main .. "/")))
end

-- tells is whether a frame is none of those that patterns have.
local function tells(f, patterns)
  for _, pattern in ipairs(patterns) do
    if f.func:find(pattern) then return false end
  end
  return true
end

-- frame_of is the innermost of a group's frames that is the program's own, or else tells something; of "go wg.Wait()", say, at least what was called.
local function frame_of(g)
  for _, f in ipairs(g and g.frames or {}) do
    if not standard(f.func) then return f end
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

-- keys lists the keys of a set, and what is in lists, in the order of numbers.
local function keys(set, ...)
  local out = {}
  for id in pairs(set) do out[#out + 1] = id end
  for _, more in ipairs { ... } do
    for _, id in ipairs(more) do
      if not set[id] then out[#out + 1] = id end
    end
  end
  table.sort(out, function(a, b) return ri.cmp(a, b) < 0 end)
  return out
end

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

local function shared(l)
  if not l.graph then
    l.graph = waits.graph(l.waits.locks)
    l.cycles = {}
    l.deadlocked = {}
    for _, cycle in ipairs(waits.cycles(l.graph)) do
      local all = true
      for _, step in ipairs(cycle) do all = all and (not l.second or l.still(step.id)) end
      if all then
        l.cycles[#l.cycles + 1] = cycle
        for _, step in ipairs(cycle) do l.deadlocked[step.id] = true end
      end
    end
    l.stuck = waits.behind(l.graph, l.deadlocked)
    l.left = {}
  end
end

-- has says how sure it is that somebody holds a lock.
local function has(holder)
  return holder.possibly and "took, as it seems (inferred; no other holder is found)" or "holds (inferred)"
end

local function deadlocks(l)
  shared(l)
  local out = {}
  for _, cycle in ipairs(l.cycles) do
    local set, places, evidence, kinds, steps, holders = {}, {}, {}, {}, {}, {}
    for _, step in ipairs(cycle) do
      set[step.id] = true
      steps[#steps + 1] = spot(l, step.id) .. " " .. called(step.edge.lock)
      if step.edge.holder then holders[step.edge.to] = true end
      places[#places + 1] = where(l, step.id)
      local e = step.edge
      if e.holder then
        evidence[#evidence + 1] = ("goroutine %s waits for %s, which goroutine %s %s: %s"):format(tostring(step.id), waits.name(e.lock), tostring(e.to),
          has(e.holder), e.holder.evidence)
        kinds.possibly = kinds.possibly or e.holder.possibly
        kinds[e.holder.reader and "reader" or "writer"] = true
      else
        evidence[#evidence + 1] = ("goroutine %s waits to read %s: goroutine %s waits to write it, and who comes after that has to wait"):format(tostring(step.id), waits.name(e.lock), tostring(e.to))
        kinds.behind = true
      end
      evidence[#evidence + 1] = created(l, step.id)
    end
    evidence[#evidence + 1] = ("goroutine %s %s"):format(tostring(cycle[1].id), l.waited(cycle[1].id))
    local _, n, behind = waits.behind(l.graph, set)
    table.sort(steps)
    local what
    local advice = "lock in the same order everywhere, or not while another lock is held; ri run locks shows all locks"
    if #cycle == 1 and kinds.reader then
      advice = "give the read lock back before taking the write lock, and look again at what was read"
      what = "deadlock: a goroutine that holds an RWMutex for reading waits to write it (RLock, then Lock)"
    elseif #cycle == 1 and once(cycle[1].edge.holder) then
      advice = "the function that Do runs must not call Do of the same Once, nor what does"
      what = "deadlock: sync.Once: the function that Do runs waits for that Do to return"
    elseif #cycle == 1 and kinds.possibly then
      advice = "look for a way out of what locks it, or round the loop, that leaves out Unlock"
      what = "deadlock: a goroutine waits for a lock that it took itself and, on one of the ways through its code, didn't give back"
    elseif #cycle == 1 then
      advice = "a method that locks must not be called with the lock held: split it into one that locks and one that doesn't"
      what = "deadlock: a goroutine waits for a lock that it holds itself (Lock twice)"
    elseif kinds.behind and kinds.reader and #cycle == 2 and cycle[1].edge.lock.addr == cycle[2].edge.lock.addr then
      advice = "don't call what takes the read lock while it is held: split it into one that locks and one that doesn't"
      what = "deadlock: recursive RLock: a goroutine that holds an RWMutex for reading reads it again behind a writer that waits for it"
    else
      what = ("deadlock: %d goroutines wait for each other's locks"):format(#cycle)
    end
    if n > 0 then
      what = what .. (", and %d more behind"):format(n)
      evidence[#evidence + 1] = ("behind: %s %s"):format(n == 1 and "goroutine" or "goroutines", list(behind))
    end
    local all = {}
    for _, step in ipairs(cycle) do all[#all + 1] = step.id end
    out[#out + 1] = {
      severity = "critical", what = what, where = table.concat(places, ", "), evidence = evidence, goroutines = all,
      waiters = keys(set, behind), holders = keys(holders), next = advice, pattern = what .. "\n" .. table.concat(steps, "\n"),
    }
  end
  return out
end

-- What a holder that doesn't run is doing, and whether that ends by itself.
local function doing(state)
  if state == "sleep" then return "time.Sleep" end
  if state == "syscall" then return "a system call" end
  if state == "IO wait" then return "network or file I/O" end
  return state
end

local function held(l)
  shared(l)
  local out, seen = {}, {}
  for _, lock in ipairs(l.waits.locks) do
    for _, h in ipairs(lock.holders) do
      local key = tostring(h.id) .. "/" .. ri.hex(lock.addr)
      if not seen[key] and not l.graph[h.id] and not l.deadlocked[h.id] and l.still(h.id) then
        seen[key] = true
        local waiting = {}
        for _, queue in ipairs { lock.want, lock.rwant } do
          for _, id in ipairs(queue.ids) do
            if l.still(id) then waiting[#waiting + 1] = id end
          end
        end
        if #waiting > 0 and lock.kind ~= "WaitGroup" then
          local behind, n = waits.behind(l.graph, { [h.id] = true })
          local what
          local busy = doing(h.state)
          if h.reader then
            what = ("writer starved: a goroutine holds an RWMutex for reading in %s, %s to write it"):format(busy, count(lock.want.count, "goroutine") .. (lock.want.count == 1 and " waits" or " wait"))
            if lock.rwant.count > 0 then what = what .. (", and %s behind"):format(count(lock.rwant.count, "reader")) end
          else
            what = ("%s %s, %s for it"):format(once(h) and "the function of a sync.Once is in" or h.possibly and "lock held, as it seems, in" or "lock held in", busy, count(n, "goroutine") .. (n == 1 and " waits" or " wait"))
          end
          local evidence = {
            ("goroutine %s %s %s: %s"):format(tostring(h.id), has(h), waits.name(lock), h.evidence),
            ("goroutine %s: %s, %s"):format(tostring(h.id), h.state, l.waited(h.id)),
            ("waiting: goroutines %s; goroutine %s %s"):format(list(waiting), tostring(waiting[1]), l.waited(waiting[1])),
          }
          evidence[#evidence + 1] = created(l, h.id)
          local lost = l.never(h.id)
          if lost then
            evidence[#evidence + 1] = ("certain: nothing that can still run leads to what goroutine %s waits for, so the lock stays taken"):format(tostring(h.id))
            for id in pairs(behind) do l.left[id] = l.never(id) or l.left[id] end -- told here, with what holds them up
          end
          out[#out + 1] = {
            severity = lost and "critical" or "warning", what = what, where = holder_place(l, h), evidence = evidence, goroutines = { h.id },
            waiters = keys(behind), holders = { h.id }, roots = { h.id },
            pattern = table.concat({ busy, spot(l, h.id), called(lock), spot(l, waiting[1]) }, "\n"),
            next = ("what is goroutine %s waiting for? ri run goroutines group=false; don't do what may last while the lock is held"):format(tostring(h.id)),
          }
        end
      end
    end
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
  { name = "lock-held", run = held },
  { name = "lock-left", needs = "moment", run = abandoned },
  share = shared, frame = frame_of, where = where, created = created, list = list, count = count, standard = standard,
  spot = spot, called = called, keys = keys,
}
