--- The checks of `ri check` for goroutines that can never go on.

local locks = require("checks_locks")
local words = require("words")

-- Wait reasons behind which nothing comes (runtime.waitReasonStrings).
local final = {
  ["chan receive (nil chan)"] = "receives from a nil channel",
  ["chan send (nil chan)"] = "sends to a nil channel",
  ["select (no cases)"] = "is in a select without cases",
}

local function nothing_comes(l)
  local out = {}
  for _, g in ipairs(l.groups) do
    local what = final[g.wait_reason]
    local main = g.ids[1] == 1 and g.count == 1
    if what and not (main and g.wait_reason == "select (no cases)") then -- which is how main waits for ever, and means to
      out[#out + 1] = {
        severity = "warning",
        what = ("blocked for ever: %s %s"):format(g.count == 1 and "a goroutine" or locks.count(g.count, "goroutine") .. ", each", what),
        where = locks.where(l, g.ids[1]), goroutines = g.ids,
        evidence = { ("the runtime says: %s; nothing can wake it"):format(g.wait_reason), locks.created(l, g.ids[1]),
          g.count > 1 and "goroutines " .. locks.list(g.ids) or nil },
        next = "which variable should have held a channel there, and who should have made it?",
      }
    end
  end
  return out
end

-- What a goroutine waits for, in words, by its wait reason.
local awaited = {
  ["chan receive"] = "receives from a channel that nobody else can reach",
  ["chan send"] = "sends to a channel that nobody else can reach",
  ["select"] = "selects among channels that nobody else can reach",
  ["sync.WaitGroup.Wait"] = "waits for a WaitGroup that nobody else can reach",
  ["semacquire"] = "waits for a WaitGroup that nobody else can reach",
  ["sync.Cond.Wait"] = "waits for a Cond that nobody else can reach",
  ["sync.Mutex.Lock"] = "waits for a Mutex that nobody else can reach",
  ["sync.RWMutex.Lock"] = "waits for an RWMutex that nobody else can reach",
  ["sync.RWMutex.RLock"] = "waits for an RWMutex that nobody else can reach",
}

local function place(line) return line and ("%s (%s:%d)"):format(line.func, line.file:match("[^/]*$"), line.line) or "not recorded" end

-- How many goroutines of libraries are asked for.
local most = 256

-- servant tells whether a goroutine is a library's alone: started by one, and nowhere in the program's own code.
local function servant(g)
  if not g or not g.created_by or words.own(g.created_by.func) then return false end
  for _, f in ipairs(g.frames) do
    if words.own(f.func) then return false end
  end
  return true
end

-- first finds in the first look the goroutines by which libraries serve others, and that wait for ever only because those do: a sql.DB's
-- connectionOpener, where all who have the DB are stuck. They are told with those.
local function first(l)
  l.served = {}
  local asked = 0
  for _, g in ipairs(l.blocked) do
    if not final[g.reason] and servant(l.state[g.ids[1]]) then
      local set = {}
      for _, id in ipairs(g.ids) do set[id] = true end
      for _, b in ipairs(asked < most and l.heap:blocked() or {}) do
        local id = b.goroutine.id
        if set[id] and asked < most then
          asked = asked + 1
          for _, on in ipairs(b.waits_on) do
            local users = not l.served[id] and l.heap:users(on.addr) or nil
            for _, user in ipairs(users and users.goroutines or {}) do
              if user.never and not servant(l.state[user.goroutine.id]) then l.served[id] = true end
            end
          end
        end
      end
    end
  end
end

-- unreachable groups the goroutines of which the heap shows that nothing can wake them.
local function unreachable(l)
  if not l.heap then return nil, l.noheap end
  locks.share(l)
  local groups, order = {}, {}
  for _, b in ipairs(l.blocked) do
    local ids, told = {}, 0
    for _, id in ipairs(b.ids) do
      if l.deadlocked[id] or l.stuck[id] or l.left[id] or l.lost[id] or l.served[id] or l.went(id) then told = told + 1 else ids[#ids + 1] = id end
    end
    if not final[b.reason] and #ids > 0 then
      local known = l.state[ids[1]]
      local from = place(b.goroutine.created_by)
      local key = b.reason .. "\n" .. from .. "\n" .. (known and place(locks.frame(known)) or place(b.goroutine.start))
      local group = groups[key]
      if not group then
        group = { reason = b.reason, from = from, ids = {}, count = 0, on = b.waits_on }
        groups[key], order[#order + 1] = group, group
      end
      group.count = group.count + b.count - told
      for _, id in ipairs(ids) do
        group.ids[#group.ids + 1] = id
      end
      if b.wait then group.wait = math.max(group.wait or 0, b.wait) end
    end
  end
  table.sort(order, function(a, b) return a.count > b.count end)
  local out = {}
  for _, g in ipairs(order) do
    local on = {}
    for i, o in ipairs(g.on) do
      if i <= 4 then on[i] = ri.hex(o.addr) .. (o.type and o.type ~= "" and not o.type:find("^%(untyped") and " in a " .. o.type .. (o.field and o.field ~= "" and ", " .. o.field or "") or "") end
    end
    out[#out + 1] = {
      severity = "critical",
      what = ("blocked for ever: %s %s"):format(g.count == 1 and "a goroutine" or locks.count(g.count, "goroutine") .. ", each of which",
        g.reason == "select" and #g.on == 0 and "selects among nil channels only" or awaited[g.reason] or g.reason),
      where = locks.where(l, g.ids[1]) .. (g.count > 1 and (" and %d more"):format(g.count - 1) or ""), goroutines = g.ids, waiters = g.ids,
      evidence = {
        "certain: nothing that can still run leads to what it waits for: no package variable, no stack, no timer (as Go's own goroutine leak profile decides)",
        ("%s waits for %s"):format(g.count == 1 and "it" or "goroutine " .. tostring(g.ids[1]), #on > 0 and table.concat(on, ", ") or "nothing: all of its channels are nil"),
        g.ids[1] == 1 and "it is the goroutine that runs main" or "created by " .. g.from,
        g.wait and ("waiting for at least %s"):format(ri.duration(math.floor(g.wait * 1000) * 1000000)) or "since when is not recorded",
      },
      next = "who should have woken it, and returned instead? the code that created it is the place to begin",
    }
  end
  return out
end

--- Whether a look needs the heap for these checks.
-- @param l table, the look
-- @return boolean
local function needs_heap(l) return l.wanted["blocked-forever"] end

return { { name = "nil-channel", run = nothing_comes }, { name = "blocked-forever", needs = "heap", run = unreachable }, needs_heap = needs_heap, first = first }
