-- Who reads from a NATS server too slowly.

local nats, words = require("nats/server"), require("words")

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
    runtime = { "goroutine" },
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
    local list = nats.behind(server, p.min)
    nats.rows(list, p.limit, function(c, found)
      local row, out = nats.identity(c), c.out
      row.used, row.max_pending, row.stalls_producers, row.slow = found.by, out.mp, out.stc ~= nil, nats.slow(c)
      row.last_flush, row.deadline, row.idle = out.lft, out.wdl, nats.idle(c)
      return row
    end)
    for _, finding in ipairs(nats.slow_findings(list, p.warn)) do ri.finding(finding) end
    print(("%s; cut off since the start: %s"):format(words.shown(#list, "connection", p.limit), (nats.cut(server))))
  end,
}
