-- The consumers of JetStream's streams.

local nats, jetstream, words = require("nats/server"), require("nats/jetstream"), require("words")

return {
  title = "JetStream's consumers, as /jsz?consumers=true tells them",
  category = "nats",
  description = [[
Lists who reads which stream, and how far they are. Much ACK PENDING that doesn't go down is a client that doesn't acknowledge; at MAX ACK PENDING
it is given nothing more. REDELIVERED are messages that were given more than once and are not acknowledged.]],
  params = {
    { name = "account", type = "string", default = "", help = "only those of this account" },
    { name = "stream", type = "string", default = "", help = "only those of streams whose name contains this" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "consumers shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "stream.consumers", nats.package .. "consumer.pending", nats.package .. "consumer.rdc", nats.package .. "consumer.npc", nats.package .. "consumer.store" },
  },
  columns = {
    { name = "account", key = true },
    { name = "stream", key = true },
    { name = "consumer", help = "its name", key = true },
    { name = "mode", help = "pull, or push and to where" },
    { name = "delivered", type = "int", help = "messages given to it, redeliveries included" },
    { name = "delivered_stream", type = "int", help = "the stream's number of the last one" },
    { name = "acked", type = "int", help = "all up to this one are acknowledged" },
    { name = "acked_stream", type = "int", help = "the stream's number of that" },
    { name = "pending", type = "int", help = "messages that it hasn't been given" },
    { name = "ack_pending", type = "int", help = "given, not acknowledged" },
    { name = "max_ack_pending", type = "int", help = "with so many it is given no more; -1: any number" },
    { name = "redelivered", type = "int" },
    { name = "waiting", type = "int", help = "pull requests that wait for messages" },
    { name = "leader", type = "bool", help = "this server leads it" },
    { name = "created", type = "time" },
  },
  sample = [[
ACCOUNT  STREAM  CONSUMER  MODE  DELIVERED  DELIVERED STREAM  ACKED  ACKED STREAM  PENDING  ACK PENDING  MAX ACK PENDING  REDELIVERED  WAITING  LEADER  CREATED
$G       ORDERS  billing   pull        100               100     40            40      890           60             1000            0        1    true  2026-11-21T03:06:30Z
1 consumer]],
  run = function(p)
    local list, count = jetstream.streams(nats.server(), p.account), 0
    if not list then
      print("JetStream is off")
      return
    end
    for _, s in ipairs(list) do
      if p.stream == "" or s.name:find(p.stream, 1, true) then
        local consumers = {}
        for name, consumer in ri.pairs(s.stream.consumers) do consumers[#consumers + 1] = { name = name, consumer = consumer } end
        table.sort(consumers, function(a, b) return a.name < b.name end)
        for _, found in ipairs(consumers) do
          count = count + 1
          if count <= p.limit then
            local c, at = found.consumer, jetstream.progress(found.consumer)
            ri.emit {
              account = s.account, stream = s.name, consumer = found.name, mode = c.cfg.DeliverSubject == "" and "pull" or "push " .. c.cfg.DeliverSubject,
              delivered = at.delivered, delivered_stream = at.delivered_stream, acked = at.acked, acked_stream = at.acked_stream, pending = math.max(c.npc, 0),
              ack_pending = #c.pending, max_ack_pending = c.cfg.MaxAckPending, redelivered = c.cfg.MaxDeliver == 1 and 0 or #c.rdc,
              waiting = jetstream.waiting(c), leader = jetstream.leader(c), created = c.created,
            }
          end
        end
      end
    end
    print(words.shown(count, "consumer", p.limit))
  end,
}
