--- The checks of `ri check` for what nobody closes: bodies of responses, rows of queries, sockets whose peer has gone, descriptors.
--
-- A body or rows that nothing which can still run leads to will never be closed: that is certain, and decided over the whole heap, since the
-- goroutine that waits for the end of it is not what keeps it. A slow reader is no finding.

local http = require("http_server")
local locks = require("checks_locks")
local doing = require("doing")
local words = require("words")

-- How many goroutines are asked for their variables, from how many sockets on it is told, and when descriptors are many and grow.
local asked, sockets, growing, share, worth = 1000, 5, 50, 1.1, 5

-- inside gives the goroutines that wait in a function, at most so many, and which frame it is.
local function inside(l, func, wait)
  local out, all = {}, 0
  for _, g in ipairs(l.groups) do
    if g.status == "waiting" and g.wait_reason == wait then
      for i, f in ipairs(g.frames) do
        if f.func == func then
          all = all + g.count
          for _, id in ipairs(g.ids) do
            if #out < asked then out[#out + 1] = { id = id, frame = i } end
          end
          break
        end
      end
    end
  end
  return out, all
end

-- How many of them are looked at from all sides, and among how many objects: what more leads to, others have.
local followed, objects = 50, 10000

-- lonely tells whether nothing leads to an object but the goroutine itself, or only goroutines that nothing can wake.
local function lonely(l, addr, id)
  if l.never(id) then return true end
  local path = l.heap:path(addr)
  if not path then return true end
  if path.goroutine ~= id then return false end
  local users = l.heap:users(addr, objects)
  if not users or users.truncated or #users.variables > 0 or #users.other > 0 then return false end
  for _, one in ipairs(users.goroutines) do
    if one.goroutine.id ~= id and not one.never then return false end
  end
  return true
end

-- unreachable gives those of them whose variable nothing else leads to. It has to be asked in the look that the heap is a copy of.
local function unreachable(l, list, names)
  local lost, left = {}, followed
  for _, one in ipairs(list) do
    if left == 0 and not l.never(one.id) then goto next end
    local g = ri.goroutine(one.id)
    local ok, vars = pcall(function() return g:locals(one.frame) end)
    for _, name in ipairs(ok and vars and names or {}) do
      local v = vars[name]
      if type(v) == "userdata" then
        if not l.never(one.id) then left = left - 1 end
        if lonely(l, ri.addr(v), one.id) then lost[#lost + 1] = one.id end
        break
      end
    end
    ::next::
  end
  return lost
end

-- Whose variable is what might be lost.
local reader, waiter = "net/http.(*persistConn).readLoop", "database/sql.(*Rows).awaitDone"

-- needs_heap tells whether a look needs the heap for these checks.
local function needs_heap(l)
  return l.wanted["response-body"] and #inside(l, reader, "select") > 0 or l.wanted["sql-rows"] and #inside(l, waiter, "select") > 0
end

-- The checks, by whose variable is what might be lost.
local kinds = {
  ["response-body"] = {
    func = reader, beside = "net/http.(*persistConn).writeLoop", names = { "body", "resp" }, what = "HTTP response", lost = "whose body nobody can read or close any more",
    evidence = "%s of net/http's client wait for the end of a body; to the body of %d nothing that can still run leads", of = "connection",
    next = "each keeps its connection and two goroutines: defer resp.Body.Close() after every request; ri run conns shows the peers",
  },
  ["sql-rows"] = {
    func = waiter, names = { "rs" }, what = "query", lost = "whose rows nobody can read or close any more",
    evidence = "%s are open; to the rows of %d nothing that can still run leads", of = "query",
    next = "each keeps a connection of its pool: defer rows.Close() after every query; ri run sql shows the pools",
  },
}

-- search finds what is lost, in the first look.
local function search(l, kind)
  local list, all = inside(l, kind.func, "select")
  return { all = all, lost = l.heap and #list > 0 and unreachable(l, list, kind.names) or {} }
end

local function abandoned(name)
  local kind = kinds[name]
  return function(l)
    local found, lost = l.unclosed[name], {}
    if found.all > 0 and not l.heap then return nil, l.noheap, true end
    for _, id in ipairs(found.lost) do
      if l.still(id) then lost[#lost + 1] = id end
    end
    if #lost == 0 then return {} end
    return { {
      severity = "warning", what = ("%s %s"):format(words.count(#lost, kind.what), kind.lost), where = locks.where(l, lost[1]), goroutines = lost,
      evidence = { kind.evidence:format(words.count(found.all, kind.of), #lost), locks.created(l, lost[1]) }, next = kind.next,
    } }
  end
end

-- half gives the sockets whose peer has closed and which the program keeps open, by what identifies them.
local function half()
  local list, why = ri.descriptors()
  if why then return nil, why end
  local out = {}
  for _, d in ipairs(list) do
    if d.socket and d.socket.state == "CLOSE_WAIT" then out[d.path .. d.socket.local_address .. d.socket.remote_address] = d end
  end
  return out, nil, list
end

--- Notes in the first look what is compared with the second, and what is lost in the heap.
-- @param l table, the look
local function first(l)
  local list
  l.unclosed = {}
  for name, kind in pairs(kinds) do l.unclosed[name] = l.wanted[name] and search(l, kind) or { all = 0, lost = {} } end
  -- Their goroutines are told of with what was lost: the reader and the writer of each connection.
  l.lost = {}
  for name, kind in pairs(kinds) do
    for _, id in ipairs(l.unclosed[name].lost) do l.lost[id] = true end
    for _, one in ipairs(kind.beside and #l.unclosed[name].lost > 0 and inside(l, kind.beside, "select") or {}) do
      if l.never(one.id) then l.lost[one.id] = true end
    end
  end
  l.half, l.nohalf, list = half()
  l.descriptors = list and #list
end

local function deserted(l)
  if not l.half then return nil, l.nohalf end
  if not l.second then return nil, "it needs two looks, of a running process" end
  local now, why = half()
  if not now then return nil, why end
  local busy = {} -- whose request is still served: the handler will end the connection
  local ok, requests = pcall(http.requests, {})
  for _, r in ipairs(ok and requests or {}) do busy[r.remote or ""] = true end
  local left = {}
  for name, d in pairs(now) do
    if l.half[name] and not busy[d.socket.remote_address] then left[#left + 1] = d end
  end
  if #left < sockets then return {} end
  local evidence = { ("in state CLOSE_WAIT in both looks, %s apart"):format(ri.duration(l.params.interval)) }
  for i, one in ipairs(doing.peers(left)) do
    if i <= 3 then evidence[#evidence + 1] = ("%d %s"):format(one.n, one.name) end
  end
  return { {
    severity = "warning",
    what = ("%s whose peer has closed them, and that the program keeps open"):format(words.count(#left, "connection")),
    evidence = evidence,
    next = "somebody doesn't close a connection whose other end has gone: ri run conns state=CLOSE_WAIT shows them, with who waits for them",
  } }
end

local function descriptors(l)
  if not l.descriptors then return nil, l.nohalf end
  local list, why = ri.descriptors()
  if why then return nil, why end
  local usage = ri.usage()
  local limit = usage and usage.max_descriptors or 0
  local out = {}
  if limit > 0 and #list >= limit * 0.9 then
    out[#out + 1] = {
      severity = #list >= limit and "critical" or "warning",
      what = ("%d of %d file descriptors are open"):format(#list, limit),
      evidence = { "at the limit (RLIMIT_NOFILE) accept, open and connect fail: too many open files" },
      next = "ri run files shows what they are, ri run conns the sockets by peer",
    }
  elseif l.second and l.seconds >= worth and #list - l.descriptors >= growing and #list >= l.descriptors * share then
    out[#out + 1] = {
      severity = "warning",
      what = ("file descriptors grow: %d, and %d after %s"):format(l.descriptors, #list, ri.duration(l.params.interval)),
      evidence = { limit > 0 and ("the limit is %d"):format(limit) or "there is no limit" },
      next = "suspected only: give it longer (--interval 30s); ri run files and ri run conns show what they are",
    }
  end
  return out
end

return {
  { name = "response-body", run = abandoned "response-body" }, { name = "sql-rows", run = abandoned "sql-rows" }, { name = "close-wait", run = deserted },
  { name = "descriptors", run = descriptors }, first = first, needs_heap = needs_heap,
}
