-- database/sql: who has each connection of a pool.

local frames = require "frames"
local words = require "words"

-- What keeps a connection until it is closed, by type; the first that has it counts: a transaction's rows have its connection, too.
local keepers = { "Tx", "Conn", "Rows" }

-- over tells whether one has given its connection back.
local function over(v)
  local ok, done = pcall(function() return ri.has(v, "done") and v.done or v.closed end)
  return ok and done ~= nil and done ~= false and done ~= 0
end

-- instances are the live objects of a type of database/sql: none is no error.
local function instances(h, name, most)
  local ok, list = pcall(function() return h:instances("database/sql." .. name, most) end)
  return ok and list or {}
end

-- kept gives what keeps connections, by the connection's address.
local function kept(h)
  local by = {}
  for _, kind in ipairs(keepers) do
    for _, addr in ipairs(instances(h, kind, 10000)) do
      pcall(function()
        local v = ri.at(addr, "database/sql." .. kind)
        if v.dc ~= nil and not over(v) then
          local dc = ri.addr(v.dc)
          by[dc] = by[dc] or { kind = kind, addr = addr }
        end
      end)
    end
  end
  return by
end

-- used gives the goroutines that work with a connection just now, by its address: they have it in a frame of database/sql.
local function used()
  local by = {}
  for g, i in frames.of [[^database/sql\.\(\*(DB|Tx|Conn|Stmt|driverConn)\)\.]] do
    local dc = frames.variable(g, i, "dc")
    if dc ~= nil then
      local ok, addr = pcall(ri.addr, dc)
      if ok then by[addr] = by[addr] or g end
    end
  end
  return by
end

-- own is where a goroutine stands, in the program's own code.
local function own(g)
  for _, f in ipairs(g:stack(64)) do
    if words.own(f.func) then return ("%s %s:%d"):format(f.func, f.file:match("[^/]*$"), f.line) end
  end
end

-- holders tells who leads to what keeps a connection, without database/sql's own goroutine that waits for its end.
local function holders(h, addr)
  local ids, where = {}, {}
  local users = h:users(addr, 100000)
  for _, name in ipairs(users and users.variables or {}) do where[#where + 1] = name end
  for _, one in ipairs(users and users.goroutines or {}) do
    if not one.goroutine.start.func:find("^database/sql%.") then
      ids[#ids + 1] = one.goroutine.id
      where[#where + 1] = own(one.goroutine)
    end
  end
  return ids, where
end

return {
  title = "database/sql: who has each connection that is in use",
  category = "go",
  description = [[
Lists the connections of all pools that are in use: whether a query works with one just now (QUERY), or rows, a transaction or a sql.Conn keep it that nobody has closed yet, and which goroutines
and package variables lead to those. Nobody means that nothing can give it back any more. AGE is the connection's own. Walks the heap.]],
  needs = { types = { "database/sql.driverConn" }, runtime = { "heap", "goroutine" } },
  params = { { name = "most", type = "int", default = 100, min = 1, max = 10000, help = "connections at most" } },
  columns = {
    { name = "address", type = "address", help = "of the connection (database/sql.driverConn)", key = true },
    { name = "pool", type = "address", help = "of its DB" },
    { name = "held_by", help = "query, Rows, Tx or Conn" },
    { name = "age", type = "duration", help = "since the connection was made" },
    { name = "goroutines", help = "who can reach what holds it", width = 12 },
    { name = "where", help = "variables that lead to it, and where those goroutines stand", cut = "left" },
  },
  sample = [[
ADDRESS       POOL          HELD BY    AGE  GOROUTINES  WHERE
0xc000156080  0xc000134000  Tx       3m20s  36          main.transfer transfer.go:61
0xc000156100  0xc000134000  Rows     3m20s  -           main.cache]],
  run = function(p)
    local h = ri.heap()
    local by, at = kept(h), used()
    local n, nobody = 0, 0
    for _, addr in ipairs(instances(h, "driverConn", 100000)) do
      local dc = ri.at(addr, "database/sql.driverConn")
      if dc.inUse then
        n = n + 1
        if n <= p.most then
          local ids, where, kind = {}, {}, "nobody"
          if by[addr] then
            kind = by[addr].kind
            ids, where = holders(h, by[addr].addr)
          elseif at[addr] then
            kind, ids, where = "query", { at[addr].id }, { own(at[addr]) }
          end
          if #ids + #where == 0 then nobody = nobody + 1 end
          local age = ri.age(dc.createdAt)
          ri.emit {
            address = addr, pool = dc.db ~= nil and ri.addr(dc.db) or nil, held_by = kind, age = age and math.floor(age * 1e9) or nil,
            goroutines = #ids > 0 and ids or nil, where = #where > 0 and where or nil,
          }
        end
      end
    end
    print(words.shown(n, "connection", p.most) .. " in use" .. (nobody > 0 and (", %d of them kept by what nobody can reach"):format(nobody) or ""))
  end,
}
