--- The checks of `ri check` for programs that ri has a pack for: what the pack's own instruments would find.
--
-- Such a check runs only in the program that it is for, and is not spoken of in others. A pack may say in a few lines what
-- the program is doing, too, and names its instruments that come next.

local coredns = require("coredns/server")
local etcd = require("etcd/server")
local nats = require("nats/server")
local prometheus = require("prometheus/server")

-- From which part of what may be pending on a connection of a NATS server counts as slow, as in nats-slow.
local warn = 0.75

-- has tells whether the program has a type.
local function has(name) return (pcall(ri.type, name)) end

return {
  {
    name = "nats-slow", next = "ri run nats-clients, ri run nats-slow", subject = "nats", doing = nats.doing, fits = function() return has(nats.package .. "Server") end,
    run = function()
      local server = nats.server()
      if not server then return nil, "no server was found in goroutines' frames" end
      return nats.slow_findings(nats.behind(server, warn), warn)
    end,
  },
  {
    name = "etcd-status", next = "ri run etcd-status", fits = function() return has(etcd.package) end,
    run = function()
      local server = etcd.server()
      if not server then return nil, "no server was found in goroutines' frames" end
      return (etcd.findings(server))
    end,
  },
  { name = "coredns-forward", next = "ri run coredns-zones, ri run coredns-cache", fits = function() return has(coredns.forward) end, run = coredns.findings },
  { name = "prometheus-status", next = "ri run prometheus-targets, ri run prometheus-head", fits = function() return has(prometheus.package .. "scrape.Manager") end, run = prometheus.findings },
}
