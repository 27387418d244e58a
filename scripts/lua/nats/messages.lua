-- Messages that clients publish, by subject.

return {
  title = "NATS: messages that come in, by subject",
  category = "nats",
  description = [[
Counts for a time the messages that connections publish to the server, by subject, with their bytes and how many connections they came from. Each message costs a hit:
a busy server needs a larger --budget, or a shorter time. Clients, routes, gateways and leaf nodes all count.]],
  needs = { funcs = { "github.com/nats-io/nats-server/v2/server.(*client).processInboundMsg" } },
  params = {
    { name = "subject", type = "string", default = "", help = "only subjects that begin so" },
    { name = "limit", type = "int", default = 10000, min = 1, help = "end after so many messages" },
    { name = "time", type = "duration", default = "10s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      func = "github.com/nats-io/nats-server/v2/server.(*client).processInboundMsg",
      when = 'hasPrefix(string(c.pa.subject), ${subject})',
      show = { subject = "string(c.pa.subject)", size = "c.pa.size", cid = "c.cid" },
    },
  },
  columns = {
    { name = "subject", key = true },
    { name = "messages", type = "int" },
    { name = "per_second", type = "float" },
    { name = "bytes", type = "bytes", help = "payload, headers included" },
    { name = "connections", type = "int" },
  },
  sample = [[
SUBJECT     MESSAGES  PER SECOND    BYTES  CONNECTIONS
orders.new       412        41.2  48.0 KB            3]],
  run = function(p)
    local subjects, list, first, last = {}, {}, nil, nil
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      first, last = first or hit.time, hit.time
      local name = hit.subject or "?"
      local s = subjects[name]
      if not s then
        s = { subject = name, messages = 0, bytes = 0, from = {}, connections = 0 }
        subjects[name] = s
        list[#list + 1] = s
      end
      s.messages, s.bytes = s.messages + 1, s.bytes + (hit.size or 0)
      if hit.cid and not s.from[hit.cid] then
        s.from[hit.cid] = true
        s.connections = s.connections + 1
      end
    end
    table.sort(list, function(a, b) return a.messages > b.messages end)
    for _, s in ipairs(list) do
      ri.emit {
        subject = s.subject, messages = s.messages, per_second = last > first and s.messages / (last - first) or nil, bytes = s.bytes,
        connections = s.connections,
      }
    end
  end,
}
