-- The connections of a NATS server to the other servers of its cluster.

local nats, words = require("nats/server"), require("words")

return {
  title = "the routes of a NATS server, as /routez tells them",
  category = "nats",
  description = [[
Lists the connections to the other servers of the cluster. Between two servers there are several: a pool, whose number POOL is, and one for the
system account.]],
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.routes", nats.package .. "client.route", nats.package .. "route.remoteID" },
  },
  columns = {
    { name = "rid", type = "int", help = "the connection's number", key = true },
    { name = "remote", help = "the other server's name" },
    { name = "remote_id", help = "and its id", width = 12 },
    { name = "addr", help = "of the other end" },
    { name = "pool", type = "int", help = "number in the pool; -1: none; since 2.10" },
    { name = "account", help = "that it belongs to, if to one" },
    { name = "solicited", type = "bool", help = "this server connected, not the other" },
    { name = "configured", type = "bool", help = "it is in the configuration, not learned from others" },
    { name = "subs", type = "int", help = "what the other server wants to be sent" },
    { name = "in_msgs", type = "int", help = "messages from it" },
    { name = "in_bytes", type = "int" },
    { name = "out_msgs", type = "int", help = "messages to it" },
    { name = "out_bytes", type = "int" },
    { name = "pending", type = "bytes", help = "that wait to be written to it" },
    { name = "rtt", type = "duration", help = "round trip, when the server last measured it" },
    { name = "start", type = "time", help = "when it connected" },
    { name = "compression", help = "off, or how; since 2.10" },
  },
  sample = [[
RID  REMOTE  REMOTE ID     ADDR            POOL  ACCOUNT  SOLICITED  CONFIGURED  SUBS  IN MSGS  IN BYTES  OUT MSGS  OUT BYTES  PENDING     RTT  START                 COMPRESSION
  5  east-2  NC3KW2CJRV4V  127.0.0.1:6222     0               true         true     2      120     14400       118      14160      0 B  312 us  2026-11-21T03:06:31Z  off
1 route]],
  run = function()
    local list = nats.sorted(nats.routes(nats.server()), function() return 0 end)
    nats.rows(list, #list, function(c, found)
      local route = c.route
      return nats.traffic({
        rid = found.cid, remote = route.remoteName, remote_id = route.remoteID, pool = nats.value(route, "poolIdx"), account = nats.text(nats.value(route, "accName")),
        solicited = route.didSolicit, configured = nats.constant(route, "routeType") == "Explicit", compression = nats.value(route, "compression"),
      }, c)
    end)
    print(words.count(#list, "route"))
  end,
}
