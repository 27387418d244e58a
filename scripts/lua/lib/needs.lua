--- Who can't go on: what goroutines need of others, and whether anybody is left who gives it.
--
-- A need is a lock to be given back, a channel to be received from or sent to, a WaitGroup to be done. It is hopeless where all who might meet it can't go
-- on themselves, as they need what is hopeless. That is worked out from the other end: all that has waited between the looks is taken to be stuck, until somebody is
-- found who isn't and who will, or may, do what is needed.

local words = require("words")

-- A table with one large number for a key is as long as that number (gopher-lua: an array): for a set of few among many, of which there may be many,
-- keys are texts.
local key = tostring

local needs = {}

--- Tells whether a goroutine waits for a need itself.
-- @param n table, of needs.gather
-- @param need table, of it
-- @param id number, a goroutine
-- @return boolean
function needs.owns(n, need, id)
  for _, own in ipairs(n.on[id] or {}) do
    if own == need then return true end
  end
  return false
end

--- Gives what is known of how somebody has the lock that a need is about.
-- @param need table, of needs.gather
-- @param id number, a goroutine
-- @return table?, of the lock's holders: in need.holders, by the number as text
function needs.holder(need, id) return need.holders and need.holders[key(id)] end

--- Unites lists of numbers.
-- @param ... tables
-- @return table: each once, in order
function needs.united(...)
  local out, seen = {}, {}
  for _, list in ipairs { ... } do
    for _, id in ipairs(list) do
      if not seen[key(id)] then seen[key(id)], out[#out + 1] = true, id end
    end
  end
  table.sort(out, function(a, b) return ri.cmp(a, b) < 0 end)
  return out
end

-- library tells whether channels with elements of a type are what the standard library sends to or closes: those of its own types.
local function library(elem)
  local path = elem:gsub("^[%*%[%]]*", ""):match("^(.*)%.[^.]*$")
  return path ~= nil and words.standard(path)
end

--- Notes a need, and who waits for it.
-- @param n table, of needs.gather
-- @param need table: kind, givers and what else there is to be said
-- @param queue table: ids, count, several
local function add(n, need, queue)
  need.queue = queue
  n.all[#n.all + 1] = need
  for i, id in ipairs(queue.ids) do
    n.on[id] = n.on[id] or {}
    table.insert(n.on[id], need)
    n.ways[id] = queue.several[i] or 1
  end
  for _, id in ipairs(need.givers) do
    n.gives[id] = n.gives[id] or {}
    table.insert(n.gives[id], need)
  end
end

needs.note = add

--- Notes that somebody has a lock that is needed, who wasn't known to have it.
-- @param n table, of needs.gather
-- @param need table, one of n.all
-- @param id int, the goroutine
-- @param holder table, as of ri.waits
function needs.gives(n, need, id, holder)
  need.open = false
  need.givers[#need.givers + 1], need.holders[key(id)] = id, holder
  n.gives[id] = n.gives[id] or {}
  table.insert(n.gives[id], need)
end

-- lock notes what is needed of those who hold a lock.
local function lock(n, k)
  local readers, writers, by = {}, {}, {}
  for _, h in ipairs(k.holders) do
    local of = key(h.id)
    if not by[of] then table.insert(h.reader and readers or writers, h.id) end
    by[of] = by[of] or h
  end
  local holders = #writers > 0 and writers or readers
  if k.want.count > 0 then
    add(n, { kind = "lock", lock = k, givers = holders, holders = by, open = #holders == 0 }, k.want)
  end
  if k.rwant.count > 0 then
    -- Readers that come later wait for a writer that waits for those that are in.
    local before = #writers > 0 and writers or k.want.ids
    add(n, { kind = "lock", lock = k, givers = before, holders = #writers > 0 and by or {}, open = #before == 0, reads = true }, k.rwant)
  end
end

-- wake notes what is needed of those who would wake who waits for a Cond, or for a share of a semaphore.Weighted: of that the channel is a need
-- already. Who waits for a share of it has none to give. Whether somebody else may still come isn't asked for.
local function wake(n, k)
  if k.kind == "Cond" then
    add(n, { kind = "wake", wake = k, addr = k.addr, givers = k.users, open = true, unsure = true }, k.waiting)
    return
  end
  local waits, givers = {}, {}
  for _, id in ipairs(k.waiting.ids) do waits[key(id)] = true end
  for _, id in ipairs(k.users) do
    if not waits[key(id)] then givers[#givers + 1] = id end
  end
  for _, id in ipairs(k.waiting.ids) do
    for _, need in ipairs(n.on[id] or {}) do
      if need.kind == "send" and need.channel.elem == "struct {}" and need.queue.count == 1 and n.ways[id] == 1 then
        need.share, need.unsure = k, true
        for _, giver in ipairs(givers) do
          need.givers[#need.givers + 1] = giver
          n.gives[giver] = n.gives[giver] or {}
          table.insert(n.gives[giver], need)
        end
      end
    end
  end
end

--- Gathers what is needed.
-- @param w table, of ri.waits with users
-- @return table
function needs.gather(w)
  local n = { all = {}, on = {}, ways = {}, gives = {} }
  for _, k in ipairs(w.locks) do
    if k.kind ~= "WaitGroup" then
      lock(n, k)
    elseif k.waiting.count > 0 and k.count > 0 then
      add(n, { kind = "done", group = k, addr = k.addr, givers = k.users or {} }, k.waiting)
    end
  end
  for _, c in ipairs(w.channels) do
    if c.senders.count > 0 then
      add(n, { kind = "receive", channel = c, addr = c.addr, givers = c.users or {}, open = c.receivers.count > 0 }, c.senders)
    elseif c.receivers.count > 0 then
      local alone = #(c.users or {}) == 0 -- then the standard library may be the one, with what it was given or made: timers, contexts, signals
      -- Of channels that carry nothing it takes the heap to tell whose they are: a context's, or the program's.
      local need = { kind = "send", channel = c, addr = c.addr, givers = c.users or {}, open = c.timer or c.closed or alone and library(c.elem) }
      need.doubtful = alone and not need.open and c.elem == "struct {}" or nil
      add(n, need, c.receivers)
    end
  end
  for _, k in ipairs(w.wakes or {}) do wake(n, k) end
  return n
end

--- Works out who is stuck: n.stuck (by goroutine), and of each need whether it is hopeless.
-- @param n table, of needs.gather
-- @param o table: still(id), whether it has not run between the looks; never(id), whether it is certain that nothing can wake it; final(id), whether it waits for nothing that could come;
-- doubtful, whether those needs that are doubtful count as others do: else somebody may meet them; unsure, whether those do of which it isn't known whether somebody
-- may come who isn't there yet
function needs.solve(n, o)
  n.stuck = {}
  for _, need in ipairs(n.all) do need.hopeless, need.certain = true, nil end
  local work = {}
  local function frees(id)
    if n.stuck[id] then n.stuck[id] = nil end
    work[#work + 1] = id
  end
  local function kill(need)
    if not need.hopeless or need.certain then return end
    need.hopeless = false
    for _, id in ipairs(need.queue.ids) do
      if n.stuck[id] and not o.never(id) then frees(id) end
    end
  end
  local function stuck(id)
    if o.never(id) or o.final(id) then return true end
    return n.on[id] ~= nil and #n.on[id] == n.ways[id] and o.still(id)
  end
  for id in pairs(n.on) do n.stuck[id] = stuck(id) or nil end
  for _, need in ipairs(n.all) do
    need.free = 0
    for _, id in ipairs(need.queue.ids) do
      if o.never(id) and n.ways[id] == 1 then need.certain = true end
    end
  end
  -- Those that wait for nothing of this are stuck if nothing can wake them, and free else.
  local function look(id)
    if n.stuck[id] == nil and not n.on[id] then n.stuck[id] = (o.never(id) or o.final(id)) or nil end
    return n.stuck[id]
  end
  for id in pairs(n.gives) do
    if not look(id) then work[#work + 1] = id end
  end
  for _, need in ipairs(n.all) do
    local open = (need.open or need.doubtful and not o.doubtful) and not (o.unsure and need.unsure)
    for _, id in ipairs(need.queue.ids) do open = open or need.kind ~= "lock" and not o.still(id) end -- then somebody serves it
    if open then kill(need) end
  end
  local freed = {}
  while #work > 0 do
    local id = table.remove(work)
    if not freed[id] then
      freed[id] = true
      for _, need in ipairs(n.gives[id] or {}) do
        if need.kind == "lock" then
          -- A writer waits for all readers, so one that is stuck is enough.
          need.free = need.free + 1
          if need.free >= #need.givers then kill(need) end
        elseif need.kind == "done" or not needs.owns(n, need, id) then
          kill(need)
        end
      end
    end
  end
end

--- Finds the doubtful needs on which it depends whether others, or those that are wanted, are hopeless.
-- @param n table, of needs.gather
-- @param o table, as needs.solve takes it
-- @param wanted function: whether a need is itself of interest
-- @return table, table: lists of needs: the doubtful ones, and those that depend on them
function needs.doubts(n, o, wanted)
  local before, depend, doubtful = {}, {}, {}
  needs.solve(n, o)
  for _, need in ipairs(n.all) do before[need] = need.hopeless end
  needs.solve(n, setmetatable({ doubtful = true }, { __index = o }))
  for _, need in ipairs(n.all) do
    if need.hopeless and not before[need] and not need.certain and (need.kind ~= "send" or not need.doubtful) then depend[#depend + 1] = need end
  end
  for _, need in ipairs(n.all) do
    if need.doubtful and need.hopeless and not need.certain then
      local counts = wanted(need)
      for _, id in ipairs(#depend > 0 and need.queue.ids or {}) do
        for _, given in ipairs(n.gives[id] or {}) do counts = counts or given.hopeless and not before[given] end
      end
      if counts then doubtful[#doubtful + 1] = need end
    end
  end
  return doubtful, depend
end

--- Adds who else may meet needs.
-- @param n table, of needs.gather
-- @param list table, needs, each with may: goroutines
function needs.add(n, list)
  for _, need in ipairs(list) do
    for _, id in ipairs(need.may) do
      n.gives[id] = n.gives[id] or {}
      table.insert(n.gives[id], need)
    end
  end
end

--- Finds knots: stuck goroutines that need something of each other, each of them once, by a shortest way round.
-- @param n table, that was solved
-- @return table: list of lists of {id, need, to}
function needs.knots(n)
  local ids = {}
  for id in pairs(n.stuck) do
    if n.on[id] then ids[#ids + 1] = id end
  end
  table.sort(ids, function(a, b) return ri.cmp(a, b) < 0 end)
  local function edges(id)
    local out = {}
    for _, need in ipairs(n.on[id] or {}) do
      if need.hopeless then
        for _, to in ipairs(need.givers) do
          if n.stuck[to] and n.on[to] and (need.kind == "lock" or need.kind == "done" or not needs.owns(n, need, to)) then out[#out + 1] = { id = id, need = need, to = to } end
        end
      end
    end
    return out
  end
  local found, part, index, low, count = {}, {}, {}, {}, 0
  -- Strongly connected parts, as Tarjan finds them, with a stack of our own: chains may be long.
  local open, opened = {}, {}
  for _, start in ipairs(ids) do
    local path = {}
    local function push(id)
      count = count + 1
      index[id], low[id] = count, count
      open[#open + 1], opened[id] = id, true
      path[#path + 1] = { id = id, edges = edges(id), at = 0 }
    end
    if not index[start] then push(start) end
    while #path > 0 do
      local top = path[#path]
      top.at = top.at + 1
      local e = top.edges[top.at]
      if e then
        if not index[e.to] then
          push(e.to)
        elseif opened[e.to] then
          low[top.id] = math.min(low[top.id], index[e.to])
        end
      else
        path[#path] = nil
        if #path > 0 then low[path[#path].id] = math.min(low[path[#path].id], low[top.id]) end
        if low[top.id] == index[top.id] then
          local members = {}
          repeat
            local id = table.remove(open)
            opened[id], part[id] = nil, top.id
            members[#members + 1] = id
          until id == top.id
          found[#found + 1] = members
        end
      end
    end
  end
  local knots = {}
  for _, members in ipairs(found) do
    table.sort(members, function(a, b) return ri.cmp(a, b) < 0 end)
    local best
    for i = 1, math.min(#members, 16) do
      local start = members[i]
      local from, queue, at = {}, { start }, 1
      local last
      while queue[at] and not last do
        local id = queue[at]
        at = at + 1
        for _, e in ipairs(edges(id)) do
          if e.to == start then
            last = e
            break
          elseif part[e.to] == part[start] and not from[key(e.to)] then
            from[key(e.to)], queue[#queue + 1] = e, e.to
          end
        end
      end
      if last then
        local knot = { last }
        while knot[1].id ~= start do table.insert(knot, 1, from[key(knot[1].id)]) end
        if not best or #knot < #best then best = knot end
      end
    end
    if best then knots[#knots + 1] = best end
  end
  table.sort(knots, function(a, b) return ri.cmp(a[1].id, b[1].id) < 0 end)
  return knots
end

--- Finds those that wait, through any number of others, for some goroutines, as far as it is for locks.
-- @param n table, that was solved
-- @param ids table: the goroutines' numbers
-- @return table: numbers, in order, without ids
function needs.behind(n, ids)
  local seen, list, work = {}, {}, {}
  for _, id in ipairs(ids) do seen[key(id)], work[#work + 1] = true, id end
  while #work > 0 do
    local id = table.remove(work)
    for _, need in ipairs(n.gives[id] or {}) do
      if need.kind == "lock" then
        for _, from in ipairs(need.queue.ids) do
          local of = key(from)
          if not seen[of] then seen[of], list[#list + 1], work[#work + 1] = true, from, from end
        end
      end
    end
  end
  table.sort(list, function(a, b) return ri.cmp(a, b) < 0 end)
  return list
end

return needs
