-- The connections of a NATS server: clients and leaf nodes.

local nats, words = require("nats/server"), require("words")

-- What can be sorted by; the largest comes first.
local orders = {
  pending = function(c) return c.out.pb end,
  subs = function(c) return #c.subs end,
  in_msgs = function(c) return c.inMsgs end,
  in_bytes = function(c) return c.inBytes end,
  out_msgs = function(c) return c.outMsgs end,
  out_bytes = function(c) return c.outBytes end,
  rtt = function(c) return c.rtt end,
  idle = function(c) return nats.idle(c) or 0 end,
}

-- wanted says by what a client is sorted, if the parameters choose it.
local function wanted(p)
  local order = orders[p.sort] or function() return 0 end
  return function(c)
    if (p.cid == 0 or c.cid == p.cid) and (p.name == "" or c.opts.Name:find(p.name, 1, true)) and (p.account == "" or nats.account(c) == p.account) then
      return order(c)
    end
  end
end

return {
  title = "the clients of a NATS server, as /connz tells them",
  category = "nats",
  description = [[
Lists the connections of clients and leaf nodes with what they sent and received, what waits to be written to them, and who they are. A
client that is slow to read has much PENDING: nats-slow says how near it is to being cut off.]],
  params = {
    { name = "sort", type = "enum", values = { "cid", "pending", "subs", "in_msgs", "in_bytes", "out_msgs", "out_bytes", "rtt", "idle" }, default = "cid", help = "cid: oldest first; others: the largest first" },
    { name = "cid", type = "int", default = 0, min = 0, help = "only this connection" },
    { name = "name", type = "string", default = "", help = "only where the client's name contains this" },
    { name = "account", type = "string", default = "", help = "only those of this account" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "clients shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.clients", nats.package .. "client.out.pb", nats.package .. "client.opts", nats.package .. "client.subs" },
  },
  columns = {
    { name = "cid", type = "int", help = "the connection's number", key = true },
    { name = "kind", help = "CLIENT or LEAF" },
    { name = "name", help = "that the client gave itself" },
    { name = "addr", help = "where it comes from" },
    { name = "account" },
    { name = "user", help = "who it is, if it said so; never a token" },
    { name = "lang", help = "of its library" },
    { name = "version", help = "of its library" },
    { name = "subs", type = "int", help = "subscriptions" },
    { name = "in_msgs", type = "int", help = "messages from it" },
    { name = "in_bytes", type = "int" },
    { name = "out_msgs", type = "int", help = "messages to it" },
    { name = "out_bytes", type = "int" },
    { name = "pending", type = "bytes", help = "that wait to be written to it" },
    { name = "stalls", type = "int", help = "how often it was held back as a producer; since 2.12" },
    { name = "slow", type = "bool", help = "writing to it timed out, and it hasn't caught up; since 2.11" },
    { name = "rtt", type = "duration", help = "round trip, when the server last measured it" },
    { name = "start", type = "time", help = "when it connected" },
    { name = "last", type = "time", help = "when something last came or went" },
  },
  sample = [[
CID  KIND    NAME    ADDR             ACCOUNT  USER  LANG  VERSION  SUBS  IN MSGS  IN BYTES  OUT MSGS  OUT BYTES  PENDING  STALLS  SLOW   RTT     START                 LAST
  7  CLIENT  orders  127.0.0.1:51312  $G             go    1.55.0      2      120     14400       118      14160      0 B       0  false  312 us  2026-11-21T03:06:31Z  2026-11-21T03:09:10Z
1 client]],
  run = function(p)
    local list = nats.sorted(nats.clients(nats.server()), wanted(p))
    nats.rows(list, p.limit, function(c)
      local row = nats.traffic(nats.identity(c), c)
      row.account, row.user, row.lang, row.version = nats.account(c), nats.user(c), c.opts.Lang, c.opts.Version
      row.stalls, row.slow, row.last = nats.value(c, "stalls"), nats.has_flag(c, "isSlowConsumer"), c.last
      return row
    end)
    print(words.shown(#list, "client", p.limit))
  end,
}
