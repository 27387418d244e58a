-- Locks: who waits, who holds.

local waits = require("waits")
local words = require("words")

-- state says what a lock's own words say.
local function state(l)
  if l.kind == "WaitGroup" then return ("counter %d"):format(l.count) end
  if l.kind == "Mutex" then return l.locked and (l.starving and "locked, starving" or "locked") or "free" end
  if l.locked then return "locked for writing" end
  local text = l.readers == 0 and "free" or words.count(l.readers, "reader")
  if l.pending then text = text .. (", a writer waits for %d of them"):format(l.leaving) end
  return text
end

-- joined puts queues together: the first numbers. Locks are many, and each queue that is asked for is made.
local function joined(l)
  local ids, longest = {}, nil
  if l.waiters == 0 then return ids, longest end
  local queues = { l.kind == "WaitGroup" and l.waiting or l.want }
  if l.kind == "RWMutex" then queues[2] = l.rwant end
  for _, queue in ipairs(queues) do
    for _, id in ipairs(queue.ids) do
      if #ids < 1000 then ids[#ids + 1] = id end
    end
    if queue.wait then longest = math.max(longest or 0, queue.wait) end
  end
  return ids, longest
end

return {
  title = "locks: who waits for them, and who holds them",
  category = "go",
  description = [[
Lists each sync.Mutex, RWMutex and WaitGroup that a goroutine waits for, and each Mutex and RWMutex that a goroutine holds.

Go records no holder. HOLDERS are inferred: by the machine code of the functions on a goroutine's stack, which says where Lock was passed and
Unlock was not on any path to where the goroutine is. EVIDENCE says it for each. Locks taken by TryLock, through an interface or in loops have none,
as those locked by a function that has returned. WAIT is a lower bound: the runtime notes it when the collector first finds a goroutine waiting.]],
  needs = { runtime = { "queue", "lock" } },
  params = {
    { name = "waited", type = "bool", default = false, help = "only those that somebody waits for" },
    { name = "name", type = "string", default = "", help = "only those whose name contains this" },
  },
  columns = {
    { name = "addr", type = "address", help = "of the lock", key = true },
    { name = "kind", help = "Mutex, RWMutex or WaitGroup" },
    { name = "name", help = "the variable, or the type and field, where that can be found" },
    { name = "state", help = "what its own words say" },
    { name = "waiting", type = "int", help = "goroutines that wait for it" },
    { name = "wait", type = "duration", help = "longest wait known, at least" },
    { name = "goroutines", help = "those that wait", width = 24 },
    { name = "holders", help = "goroutines that hold it (inferred); R: for reading", width = 24 },
    { name = "evidence", help = "what speaks for each holder", width = 100 },
  },
  sample = [[
ADDR          KIND   NAME             STATE   WAITING  WAIT  GOROUTINES  HOLDERS  EVIDENCE
0xc000012090  Mutex  main.account.mu  locked        1     -          20       21  goroutine 21 called Lock at ...]],
  run = function(p)
    local w = ri.waits { all = not p.waited, channels = false }
    local unseen = 0
    for _, l in ipairs(w.locks) do
      local name = l.name
      if name:find(p.name, 1, true) then
        local ids, longest = joined(l)
        local holders, evidence = {}, {}
        for i, h in ipairs(l.holders) do
          holders[i], evidence[i] = tostring(h.id) .. (h.reader and "R" or ""), h.evidence
        end
        unseen = math.max(unseen, l.unseen)
        ri.emit {
          addr = l.addr, kind = l.kind, name = name ~= "" and name or nil, state = state(l), waiting = l.waiters, wait = longest and math.floor(longest * 1e9) or nil,
          goroutines = ids, holders = table.concat(holders, ", "), evidence = evidence,
        }
      end
    end
    if w.unheld then print("holders could not be inferred: " .. w.unheld) end
    if unseen > 0 then print(words.count(unseen, "goroutine") .. " could not be searched for locks held") end
    if w.unread then print(w.unread) end
  end,
}
