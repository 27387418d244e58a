-- database/sql: pools of connections.

local alive = require 'alive'
local frames = require 'frames'
local runtime = require 'runtime'

-- waiting counts the requests for a connection: a map until Go 1.22, a set of its own since.
local function waiting(db)
  local requests = db.connRequests
  if requests == nil then return 0 end
  if ri.type(requests).kind == 'map' then return #requests end
  return #requests.s
end

-- waiters are the goroutines in (*DB).conn, by the pool's address; and of which pools it is sure that they are open: a goroutine of their own opens connections.
local function waiters()
  local bydb, open = {}, {}
  for g, i, name in frames.of [[^database/sql\.\(\*DB\)\.(conn|connectionOpener)$]] do
    local db = frames.variable(g, i, 'db')
    if db ~= nil and g.status == 'waiting' then
      local address = ri.addr(db)
      if name:find 'connectionOpener' then
        open[address] = true
      else
        local list = bydb[address] or {}
        list[#list + 1], bydb[address] = g.id, list
      end
    end
  end
  return bydb, open
end

-- places has what may be changed of a pool: package sql looks at it whenever a connection is asked for.
local function places(db) return { max = ri.ref(db, 'maxOpen'), max_lifetime = ri.ref(db, 'maxLifetime') } end

-- driver is the type of what makes connections; package sql's own wrapper has the driver in it.
local function driver(db)
  local connector = db.connector
  if connector == nil then return nil end
  if type(connector) == 'userdata' and ri.typeof(connector) == 'database/sql.dsnConnector' then connector = connector.driver end
  return type(connector) == 'userdata' and ri.typeof(connector) or nil
end

return {
  title = "database/sql: pools of connections, who waits for one",
  category = "go",
  description = [[
Lists the database/sql pools that variables and goroutines lead to, with the numbers of DB.Stats, and the goroutines that wait for a connection now. A pool that waits with all
connections in use is too small, or somebody doesn't give them back (rows not closed, transactions not ended). As a table of OVSDB (ri tables, ri serve) max and max_lifetime can be changed while
the program runs: the next request for a connection goes by them, and who waits already gets one that comes back. A pool that is closed, or whose own goroutine isn't seen, is only shown.]],
  needs = { types = { "database/sql.DB" }, runtime = { "goroutine" } },
  params = {
    { name = "depth", type = "int", default = 4, min = 0, max = 8, help = "look for pools through so many pointers" },
    { name = "heap", type = "bool", default = false, help = "look at all that is alive, with a copy of all memory; done too where no pool is found otherwise" },
  },
  columns = {
    { name = "address", type = "address", help = "of the DB", key = true },
    { name = "open", type = "int", help = "connections that are open" },
    { name = "in_use", type = "int", help = "of them in use" },
    { name = "idle", type = "int", help = "of them idle" },
    { name = "max", type = "int", help = "at most, 0: no limit", change = true },
    { name = "waiting", type = "int", help = "requests that wait for a connection now" },
    { name = "wait_count", type = "int", help = "connections waited for since the start" },
    { name = "wait_time", type = "duration", help = "time waited for them, those that wait now not included" },
    { name = "max_idle_closed", type = "int", help = "closed because too many were idle", hidden = true },
    { name = "max_idle_time_closed", type = "int", help = "closed because they were idle for too long", hidden = true },
    { name = "max_lifetime_closed", type = "int", help = "closed because they were too old", hidden = true },
    { name = "max_idle", type = "int", help = "idle at most", hidden = true },
    { name = "max_lifetime", type = "duration", help = "of a connection, 0: no limit", hidden = true, change = true },
    { name = "goroutines", help = "who waits", width = 12 },
    { name = "driver", help = "type of what makes connections", hidden = true },
    { name = "where", help = "what leads to the pool, and its driver's type", cut = "left" },
  },
  sample = [[
ADDRESS       OPEN  IN USE  IDLE  MAX  WAITING  WAIT COUNT  WAIT TIME  GOROUTINES  WHERE
0xc000134000     3       3     0    3        2          17       4.2s  36, 37      main.db
                                                                                   main.fake]],
  run = function(p)
    local bydb, open = waiters()
    local seen = {}
    local pools, why = alive.find({ 'database/sql.DB' }, { max = 1000, depth = p.depth, heap = p.heap and 'yes' or 'else' })
    if why then print('not looked at all that is alive: ' .. why) end
    for _, f in ipairs(pools) do
      local db = f.value
      local address = db ~= nil and ri.addr(db) or 0
      if db ~= nil and not seen[address] then
        seen[address] = true
        local idle = #db.freeConn
        local kind = driver(db)
        ri.emit({
          address = address, open = db.numOpen, in_use = db.numOpen - idle, idle = idle, max = math.max(db.maxOpen, 0), waiting = waiting(db),
          wait_count = db.waitCount, wait_time = runtime.first(db, 'waitDuration'), max_idle_closed = db.maxIdleClosed,
          max_idle_time_closed = db.maxIdleTimeClosed, max_lifetime_closed = db.maxLifetimeClosed,
          max_idle = db.maxIdleCount == 0 and 2 or math.max(db.maxIdleCount, 0), max_lifetime = db.maxLifetime,
          goroutines = bydb[address], driver = kind, where = { f.where, kind },
        }, open[address] and places(db))
      end
    end
  end,
}
