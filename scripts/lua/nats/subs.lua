-- The subscriptions of a NATS server, from where it looks them up to route a message.

local nats, words = require("nats/server"), require("words")

-- each calls f for the subscriptions under a level of an account's Sublist. A level has a node for each next token of the subject, one for "*" (pwc)
-- and one for ">" (fwc); a node has the subscriptions that end there, in a map or, where they are many, in a list too, and those of each queue group.
local function each(level, f, depth)
  if level == nil then return end
  if depth > 1000 then error("the tree of subjects is deeper than 1000 tokens: it is broken", 0) end
  local function node(n)
    if n == nil then return end
    for sub in ri.pairs(n.psubs) do f(sub) end
    for _, group in ri.pairs(n.qsubs) do
      for sub in ri.pairs(group) do f(sub) end
    end
    each(n.next, f, depth + 1)
  end
  for _, n in ri.pairs(level.nodes) do node(n) end
  node(level.pwc)
  node(level.fwc)
end

-- wanted lists the subscriptions that the parameters choose, those with most messages first.
local function wanted(server, p)
  local list = {}
  for name, account in ri.pairs(server.accounts) do
    if p.account == "" or p.account == name then
      each(account.sl.root, function(sub)
        local client = sub.client
        local kind = client and nats.kinds[client.kind]
        if kind == "CLIENT" or p.internal and (kind == "SYSTEM" or kind == "JETSTREAM" or kind == "ACCOUNT") then
          local cid = client.cid
          if (p.cid == 0 or cid == p.cid) and (p.subject == "" or nats.text(sub.subject):find(p.subject, 1, true)) then
            list[#list + 1] = { sub = sub, client = client, account = name, kind = kind, cid = cid, msgs = sub.nm }
          end
        end
      end, 0)
    end
  end
  table.sort(list, function(a, b)
    if a.msgs ~= b.msgs then return a.msgs > b.msgs end
    return a.cid < b.cid
  end)
  return list
end

return {
  title = "the subscriptions of a NATS server, as /subsz tells them",
  category = "nats",
  description = [[
Lists who subscribed to what, and how many messages each subscription was given. Without internal=true, those of clients only, not the server's own.]],
  params = {
    { name = "subject", type = "string", default = "", help = "only where the subject contains this" },
    { name = "cid", type = "int", default = 0, min = 0, help = "only those of this connection" },
    { name = "account", type = "string", default = "", help = "only those of this account" },
    { name = "internal", type = "bool", default = false, help = "the server's own too: system, JetStream, imports" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "subscriptions shown, those with most messages first; all are counted" },
  },
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = {
      nats.package .. "Server.accounts", nats.package .. "Account.sl", nats.package .. "level.nodes", nats.package .. "node.psubs", nats.package .. "node.qsubs",
      nats.package .. "subscription.subject", nats.package .. "subscription.nm",
    },
  },
  columns = {
    { name = "subject" },
    { name = "queue", help = "group of which each message is given to one member" },
    { name = "cid", type = "int", help = "of the connection", key = true },
    { name = "kind", help = "CLIENT, or one of the server's own: SYSTEM, JETSTREAM, ACCOUNT" },
    { name = "client", help = "the name that it gave itself" },
    { name = "account" },
    { name = "sid", help = "the client's own name for the subscription", key = true },
    { name = "msgs", type = "int", help = "delivered" },
    { name = "max", type = "int", help = "after which it ends; 0: never" },
  },
  sample = [[
SUBJECT   QUEUE    CID  KIND    CLIENT  ACCOUNT  SID  MSGS  MAX
orders.>  workers    7  CLIENT  orders  $G       1     118    0
1 subscription]],
  run = function(p)
    local list = wanted(nats.server(), p)
    for i = 1, math.min(#list, p.limit) do
      local found, sub = list[i], list[i].sub
      ri.emit {
        subject = nats.text(sub.subject), queue = nats.text(sub.queue), cid = found.cid, kind = found.kind, client = found.client.opts.Name,
        account = found.account, sid = nats.text(sub.sid), msgs = found.msgs, max = sub.max,
      }
    end
    print(words.shown(#list, "subscription", p.limit))
  end,
}
