-- Who reads from a NATS server too slowly.

local nats, words = require("nats/server"), require("words")

-- connections lists clients, leaf nodes and routes.
local function connections(server)
  local list = {}
  for _, map in ipairs { server.clients, server.leafs } do
    for _, client in ri.pairs(map) do list[#list + 1] = client end
  end
  for _, route in ipairs(nats.routes(server)) do list[#list + 1] = route end
  return list
end

return {
  title = "slow consumers of a NATS server, before they are cut off",
  category = "nats",
  description = [[
Lists the connections that don't read what is sent to them, by how much of the allowed PENDING is used. From 3/4 on the server holds back those who
publish to it (STALLS PRODUCERS), at all of it, or when a write takes longer than the write deadline, it closes the connection. Those from
warn on are findings. What was cut off before is in the last line.]],
  params = {
    { name = "min", type = "float", default = 0.01, min = 0, max = 1, help = "only those that use this part of what is allowed, from 0 to 1" },
    { name = "warn", type = "float", default = 0.75, min = 0, max = 1, help = "from this part on it is a finding" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "connections shown; all are counted" },
  },
  needs = {
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.clients", nats.package .. "client.out.pb", nats.package .. "client.out.mp", nats.package .. "client.out.stc" },
  },
  columns = {
    { name = "cid", type = "int", help = "the connection's number", key = true },
    { name = "kind", help = "CLIENT, LEAF or ROUTER" },
    { name = "name", help = "that it gave itself" },
    { name = "addr", help = "where it comes from" },
    { name = "pending", type = "bytes", help = "that wait to be written to it" },
    { name = "max_pending", type = "bytes", help = "with more it is closed" },
    { name = "used", type = "float", help = "PENDING of MAX PENDING" },
    { name = "stalls_producers", type = "bool", help = "who publishes to it is held back" },
    { name = "slow", type = "bool", help = "writing to it timed out, and it hasn't caught up" },
    { name = "last_flush", type = "duration", help = "what the last write to it took" },
    { name = "deadline", type = "duration", help = "a write that takes longer closes it" },
    { name = "idle", type = "duration", help = "since something last came or went" },
  },
  sample = [[
CID  KIND    NAME     ADDR             PENDING   MAX PENDING  USED  STALLS PRODUCERS  SLOW   LAST FLUSH  DEADLINE  IDLE
  9  CLIENT  reports  127.0.0.1:51320  51.2 MiB     64.0 MiB  0.8               true  false         4ms       10s  1.2s
1 connection; cut off since the start: 3 clients, 0 routes, 0 leafs, 0 gateways]],
  run = function(p)
    local server = nats.server()
    local list, changing = {}, nats.changing()
    for _, c in ipairs(connections(server)) do
      local out = c.out
      local pending, most = out.pb, out.mp
      local used = most > 0 and pending / most or 0
      local slow = nats.has_flag(c, "isSlowConsumer")
      if pending > 0 and used >= p.min or slow then list[#list + 1] = { client = c, cid = c.cid, used = used, slow = slow } end
    end
    table.sort(list, function(a, b)
      if a.used ~= b.used then return a.used > b.used end
      return a.cid < b.cid
    end)
    for i, found in ipairs(list) do
      local c, out = found.client, found.client.out
      if i <= p.limit then
        changing.look(c)
        ri.emit {
          cid = found.cid, kind = nats.kinds[c.kind], name = c.opts.Name, addr = nats.endpoint(c), pending = out.pb, max_pending = out.mp, used = found.used,
          stalls_producers = out.stc ~= nil, slow = found.slow, last_flush = out.lft, deadline = out.wdl, idle = nats.idle(c),
        }
      end
      if found.slow or found.used >= p.warn then
        ri.finding {
          severity = found.used >= 1 and "critical" or "warning",
          what = ("connection %d (%s) reads too slowly: %.0f %% of what may be pending"):format(found.cid, c.opts.Name ~= "" and c.opts.Name or nats.endpoint(c), found.used * 100),
          where = nats.endpoint(c), evidence = { ("%d of %d bytes pending"):format(out.pb, out.mp), out.stc ~= nil and "producers are held back" or nil },
          next = "look at that program: is it alive, and does it read? ri run nats-subs cid=" .. tostring(found.cid),
        }
      end
    end
    changing.say()
    local cut, parts = nats.value(server, "scStats"), { words.count(server.stats.slowConsumers, "connection") }
    if cut then
      parts = { words.count(cut.clients, "client"), words.count(cut.routes, "route"), words.count(cut.leafs, "leaf"), words.count(cut.gateways, "gateway") }
    end
    print(("%s; cut off since the start: %s"):format(words.shown(#list, "connection", p.limit), table.concat(parts, ", ")))
  end,
}
