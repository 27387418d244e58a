-- A NATS server (github.com/nats-io/nats-server/v2, 2.9 and later), as the instruments of this folder see it.
--
-- The ways in: no package variable leads to a server. A *server.Server is the receiver of methods in the frames of several goroutines
-- (WaitForShutdown, AcceptLoop), where ri.find1 finds it. From there on it is fields:
--
--   Server.clients     map[uint64]*client       clients by cid; leafs likewise
--   Server.routes      map[string][]*client     by the remote server's id, a slot for each connection of its pool, and
--   Server.accRoutes   map[string]map[string]*client, those that belong to one account
--   Server.accounts    sync.Map                 name -> *Account; Account.sl is the Sublist of its subscriptions
--   Server.js          *jetStream (atomic), nil where JetStream is off; .accounts[name].streams[name].consumers[name]
--
-- Server.mu guards the maps of connections; the recipes wait until it is free. Each client has a lock of its own, too many to wait for:
-- one that was held is said by nats.rows.
--
-- What changed: 2.10 put routes into pools (before, Server.routes is a map of single ones, by cid), and gave some to one account, and counts slow consumers by kind
-- (scStats). 2.11 added the flag isSlowConsumer, 2.12 Server.stalls and client.stalls (how often producers were held back) and the counters of clients alone
-- (Server.inClientMsgs and the like). Fields that a version lacks are left out of the rows.

local sync = require("sync")
local words = require("words")
local nats = {}

local package = "github.com/nats-io/nats-server/v2/server."
nats.package = package

-- server finds the server; the first, in a program that runs several.
function nats.server() return (ri.find1(package .. "Server")) end

-- kinds names what client.kind says (constants of client.go, which have no type of their own).
nats.kinds = { [0] = "CLIENT", "ROUTER", "GATEWAY", "SYSTEM", "LEAF", "JETSTREAM", "ACCOUNT" }

-- value reads a field that not every version has: nil without it.
function nats.value(struct, field)
  if ri.has(struct, field) then return struct[field] end
end

-- routes lists the connections to other servers: those of each remote server's pool, where a slot may be empty, and those that belong to an account.
function nats.routes(server)
  local list = {}
  for _, pool in ri.pairs(server.routes) do
    if ri.typeof(pool):sub(1, 2) ~= "[]" then
      list[#list + 1] = pool
    else
      for _, route in ri.pairs(pool) do
        if route ~= nil then list[#list + 1] = route end
      end
    end
  end
  for _, account in ri.pairs(nats.value(server, "accRoutes")) do
    for _, route in ri.pairs(account) do list[#list + 1] = route end
  end
  return list
end

-- text makes a []byte a string; "" for none.
function nats.text(bytes) return bytes == nil and "" or ri.bytes(bytes) end

-- constant is the name of a constant without its package: "FileStorage".
function nats.constant(struct, field) return (ri.name(struct, field):match("[^.]*$")) end

-- account names a client's account.
function nats.account(client)
  local account = client.acc
  return account and account.Name or ""
end

-- endpoint is where a connection comes from.
function nats.endpoint(client)
  if client.port == 0 then return "" end
  local host = client.host
  local six = not ri.token(host) and host:find(":", 1, true)
  return six and ("[%s]:%d"):format(host, client.port) or ("%s:%d"):format(host, client.port)
end

-- user is who a client says that it is, as the server shows it; a token is a secret.
function nats.user(client)
  local o = client.opts
  if o.Nkey ~= "" then return o.Nkey end
  if o.Username ~= "" then return o.Username end
  if o.JWT ~= "" then return client.pubKey end
  return o.Token ~= "" and "[REDACTED]" or ""
end

-- has_flag says whether a flag of a client is set, by the name of its constant; nil where the version has no such flag.
function nats.has_flag(client, name)
  local flag = ri.constant(nats.package .. "clientFlag", name)
  return flag and ri.bit.band(client.flags, flag) ~= 0
end

-- idle is how long ago something last came from or went to a client, in nanoseconds.
function nats.idle(client)
  local age = ri.age(ri.ref(client, "last"))
  return age and math.floor(age * 1e9)
end

-- clients lists the connections of clients and leaf nodes.
function nats.clients(server)
  local list = {}
  for _, map in ipairs { server.clients, server.leafs } do
    for _, client in ri.pairs(map) do list[#list + 1] = client end
  end
  return list
end

-- sorted gives connections as {client =, cid =, by =}: the largest first by what by gives of each, then the oldest. Where it gives nil a connection is
-- left out.
function nats.sorted(connections, by)
  local list = {}
  for _, client in ipairs(connections) do
    local size = by(client)
    if size then list[#list + 1] = { client = client, cid = client.cid, by = size } end
  end
  table.sort(list, function(a, b)
    if a.by ~= b.by then return a.by > b.by end
    return a.cid < b.cid
  end)
  return list
end

-- identity begins the row of a client or leaf node.
function nats.identity(client) return { cid = client.cid, kind = nats.kinds[client.kind], name = client.opts.Name } end

-- traffic adds to a row what went over a connection.
function nats.traffic(row, client)
  row.subs, row.in_msgs, row.in_bytes, row.out_msgs, row.out_bytes = #client.subs, client.inMsgs, client.inBytes, client.outMsgs, client.outBytes
  row.rtt, row.start = client.rtt, client.start
  return row
end

-- rows gives a row for each of the first of some sorted connections: what row makes of it, and what all have. It says of which somebody
-- was at work on at the moment of the look: their rows may be half old, half new.
function nats.rows(list, limit, row)
  local changing = {}
  for i = 1, math.min(#list, limit) do
    local client = list[i].client
    local lock = client.mu
    local state = ri.has(lock, "readerCount") and sync.rwmutex(lock) or sync.mutex(lock)
    if state.locked then changing[#changing + 1] = tostring(list[i].cid) end
    local cells = row(client, list[i])
    cells.addr, cells.pending = nats.endpoint(client), client.out.pb
    ri.emit(cells)
  end
  if #changing > 0 then
    ri.log(("%s being changed at the moment of the look, and may be in part from before: %s"):format(
      #changing == 1 and "one connection was" or #changing .. " connections were",
      table.concat(changing, ", ", 1, math.min(#changing, 8)) .. (#changing > 8 and ", ..." or "")))
  end
end

-- slow tells whether writing to a client timed out, and it hasn't caught up.
function nats.slow(client) return nats.has_flag(client, "isSlowConsumer") end

-- behind gives the connections that use this part of what may be pending, or are slow, as nats.sorted does: by is the part.
function nats.behind(server, least)
  local connections = nats.clients(server)
  for _, route in ipairs(nats.routes(server)) do connections[#connections + 1] = route end
  return nats.sorted(connections, function(c)
    local part = c.out.mp > 0 and c.out.pb / c.out.mp or 0
    return (c.out.pb > 0 and part >= least or nats.slow(c)) and part or nil
  end)
end

-- slow_findings tells of those of nats.behind that are slow, or use at least so much.
function nats.slow_findings(list, warn)
  local out = {}
  for _, found in ipairs(list) do
    local c = found.client
    if nats.slow(c) or found.by >= warn then
      out[#out + 1] = {
        severity = found.by >= 1 and "critical" or "warning",
        what = ("connection %d (%s) reads too slowly: %.0f %% of what may be pending"):format(found.cid, c.opts.Name ~= "" and c.opts.Name or nats.endpoint(c), found.by * 100),
        where = nats.endpoint(c), evidence = { ("%s of %s pending"):format(words.bytes(c.out.pb), words.bytes(c.out.mp)), c.out.stc ~= nil and "producers are held back" or nil },
        next = "look at that program: is it alive, and does it read? ri run nats-subs cid=" .. tostring(found.cid),
      }
    end
  end
  return out
end

-- cut says how many slow consumers the server has cut off since its start: the text, and their number.
function nats.cut(server)
  local by, all = nats.value(server, "scStats"), server.stats.slowConsumers
  if not by then return words.count(all, "connection"), all end
  return table.concat({ words.count(by.clients, "client"), words.count(by.routes, "route"), words.count(by.leafs, "leaf"), words.count(by.gateways, "gateway") }, ", "), all
end

-- From which part of what may be pending the connection that is most behind is told of, before it is a finding.
local told = 0.01

--- doing says in a few lines what the server is doing, for the end of a check.
function nats.doing()
  local server = nats.server()
  if not server then return {} end
  local out = { ("%s of clients and leaf nodes, %s"):format(words.count(#nats.clients(server), "connection"), words.count(#nats.routes(server), "route")) }
  local most = nats.behind(server, told)[1]
  if most then
    local c = most.client
    out[#out + 1] = ("most behind: connection %d (%s) from %s, %s of %s pending"):format(most.cid, c.opts.Name ~= "" and c.opts.Name or "without a name", nats.endpoint(c),
      words.bytes(c.out.pb), words.bytes(c.out.mp))
  end
  local text, n = nats.cut(server)
  if ri.cmp(n, 0) > 0 then out[#out + 1] = "slow consumers cut off since the start: " .. text end
  return out
end

return nats
