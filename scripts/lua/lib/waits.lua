--- Who waits for whom: the graph over goroutines that ri.waits makes possible.
--
-- An edge leads from a goroutine that waits for a lock to one that has it, or, behind a writer that waits for an RWMutex, to that writer:
-- readers that come later wait for it. Who has a lock is inferred (see ri.waits), so what follows from the graph is too.

local waits = {}

local function short(line) return ("%s:%d"):format(line.file:match("[^/]*$"), line.line) end

--- Names a lock: its variable or type, and its address.
-- @param lock table, of ri.waits
-- @return string
function waits.name(lock)
  local what = "sync." .. lock.kind
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

--- Builds the graph.
-- @param locks table, those of ri.waits
-- @return table: goroutine to list of {to, lock, holder?}
function waits.graph(locks)
  local graph = {}
  local function edge(from, to, lock, holder)
    graph[from] = graph[from] or {}
    table.insert(graph[from], { to = to, lock = lock, holder = holder })
  end
  for _, lock in ipairs(locks) do
    local writers, readers = {}, {}
    for _, h in ipairs(lock.holders) do table.insert(h.reader and readers or writers, h) end
    for _, id in ipairs(lock.want.ids) do
      for _, h in ipairs(#writers > 0 and writers or readers) do edge(id, h.id, lock, h) end
    end
    for _, id in ipairs(lock.rwant.ids) do
      for _, h in ipairs(writers) do edge(id, h.id, lock, h) end
      if #writers == 0 then
        for i = 1, math.min(#lock.want.ids, 16) do edge(id, lock.want.ids[i], lock) end
      end
    end
  end
  return graph
end

--- Finds cycles, each once: goroutines that wait for each other.
-- @param graph table, of waits.graph
-- @return table: list of lists of {id, edge}
function waits.cycles(graph)
  local ids, state, found = {}, {}, {}
  for id in pairs(graph) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b) return ri.cmp(a, b) < 0 end)
  -- Depth first, with a stack of our own: chains may be long.
  for _, start in ipairs(ids) do
    local path, position, at = {}, {}, {}
    local function push(id)
      path[#path + 1], position[id], at[#path + 1], state[id] = id, #path + 1, 0, 1
    end
    if not state[start] then push(start) end
    while #path > 0 do
      local top = #path
      local id = path[top]
      at[top] = at[top] + 1
      local e = (graph[id] or {})[at[top]]
      if not e then
        state[id], position[id], path[top], at[top] = 2, nil, nil, nil
      elseif position[e.to] then
        local cycle = {}
        for i = position[e.to], top do cycle[#cycle + 1] = { id = path[i], edge = graph[path[i]][at[i]] } end
        found[#found + 1] = cycle
      elseif not state[e.to] then
        push(e.to)
      end
    end
  end
  return found
end

--- Finds those that wait, through any number of others, for somebody in a set.
-- @param graph table, of waits.graph
-- @param set table: goroutine to true
-- @return table: goroutine to true, without the set itself; how many; some of their numbers
function waits.behind(graph, set)
  local back = {}
  for from, edges in pairs(graph) do
    for _, e in ipairs(edges) do
      back[e.to] = back[e.to] or {}
      table.insert(back[e.to], from)
    end
  end
  local seen, list, work = {}, {}, {}
  for id in pairs(set) do work[#work + 1] = id end
  while #work > 0 do
    local id = table.remove(work)
    for _, from in ipairs(back[id] or {}) do
      if not seen[from] and not set[from] then
        seen[from] = true
        list[#list + 1], work[#work + 1] = from, from
      end
    end
  end
  table.sort(list, function(a, b) return ri.cmp(a, b) < 0 end)
  return seen, #list, list
end

waits.short = short

return waits
