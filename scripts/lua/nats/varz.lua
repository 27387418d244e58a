-- A NATS server as a whole.

local nats = require("nats/server")

-- subscriptions adds up those of all accounts.
local function subscriptions(server)
  local count, accounts = 0, 0
  for _, account in ri.pairs(server.accounts) do count, accounts = count + account.sl.count, accounts + 1 end
  return count, accounts
end

return {
  title = "a NATS server: who it is, its counters, as /varz",
  category = "nats",
  description = [[
Shows a server's identity, its limits and its counters since the start. The names are those of its own /varz; what the version doesn't count is left out.]],
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.info", nats.package .. "Server.accounts", nats.package .. "stats.inMsgs" },
  },
  columns = {
    { name = "name", help = "as in /varz", key = true },
    { name = "value" },
  },
  sample = [[
NAME         VALUE
server_name  east-1
version      2.12.1
connections  120
in_msgs      501233]],
  run = function()
    local server = nats.server()
    local function give(name, value)
      if value ~= nil then ri.emit { name = name, value = value } end
    end
    local info = server.info
    give("server_id", info.ID)
    give("server_name", info.Name)
    give("version", info.Version)
    give("go", info.GoVersion)
    give("host", info.Host)
    give("port", info.Port)
    give("cluster", info.Cluster ~= "" and info.Cluster or nil)
    give("start", server.start)
    give("config_load_time", server.configTime)
    local opts = server.opts
    give("max_connections", opts.MaxConn)
    give("max_payload", opts.MaxPayload)
    give("max_pending", opts.MaxPending)
    give("ping_interval", opts.PingInterval)
    give("write_deadline", opts.WriteDeadline)
    give("connections", #server.clients)
    give("total_connections", server.totalClients)
    give("routes", #nats.routes(server))
    give("remotes", #(nats.value(server, "remotes") or server.routes))
    give("leafnodes", #server.leafs)
    local count, accounts = subscriptions(server)
    give("subscriptions", count)
    give("accounts", accounts)
    for _, counter in ipairs {
      { "in_msgs", "inMsgs" }, { "in_bytes", "inBytes" }, { "in_client_msgs", "inClientMsgs" }, { "in_client_bytes", "inClientBytes" },
      { "out_msgs", "outMsgs" }, { "out_bytes", "outBytes" }, { "out_client_msgs", "outClientMsgs" }, { "out_client_bytes", "outClientBytes" },
      { "slow_consumers", "slowConsumers" }, { "stale_connections", "staleConnections" }, { "stalled_clients", "stalls" },
    } do
      give(counter[1], nats.value(server.stats, counter[2]))
    end
    local slow = nats.value(server, "scStats")
    for _, kind in ipairs { "clients", "routes", "gateways", "leafs" } do give("slow_consumer_stats." .. kind, slow and slow[kind]) end
    local js = server.js
    give("jetstream", js ~= nil)
    if js then
      give("jetstream.memory", js.memUsed)
      give("jetstream.storage", js.storeUsed)
      give("jetstream.accounts", #js.accounts)
      give("jetstream.api.total", js.apiTotal)
      give("jetstream.api.errors", js.apiErrors)
    end
  end,
}
