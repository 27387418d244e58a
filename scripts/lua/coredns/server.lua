-- A CoreDNS server (github.com/coredns/coredns; 1.15), as the instruments of this folder see it.
--
-- The way in: no package variable leads to the servers. Each *dnsserver.Server, one for an address that it listens on, is the receiver of Serve and ServePacket in
-- the frames of goroutines, where ri.find finds it. From there on it is fields:
--
--   Server.zones      map[string][]*Config   by zone; several of one zone are told apart by views
--   Config.registry   map[string]Handler     the plugins that registered, by name. Of two with one name the last one is there
--   forward.Forward   proxies, each with the number of health checks that failed one after the other; down when they are more than maxfails. Of several in one block
--                     the registry has the first, and each has the next in Next
--   cache.Cache       pcache and ncache (answers; denials and errors): 256 shards, each a map of *item
--
-- Zones of one block of the Corefile share its plugins, and so its cache.

local coredns = {}

local root = "github.com/coredns/coredns/"
coredns.server = root .. "core/dnsserver.Server"
coredns.config = root .. "core/dnsserver.Config"
coredns.cache = root .. "plugin/cache.Cache"
coredns.cache_type = "*" .. coredns.cache
coredns.forward = root .. "plugin/forward.Forward"

-- configs lists {server =, config =}, by address and zone.
function coredns.configs()
  local list, seen = {}, {}
  for _, found in ipairs(ri.find(coredns.server)) do
    local server = found.value
    local addr = ri.addr(server)
    if not seen[addr] then
      seen[addr] = true
      for _, configs in ri.pairs(server.zones) do
        for _, config in ri.pairs(configs) do list[#list + 1] = { server = server, config = config } end
      end
    end
  end
  table.sort(list, function(a, b)
    if a.server.Addr ~= b.server.Addr then return a.server.Addr < b.server.Addr end
    if a.config.Zone ~= b.config.Zone then return a.config.Zone < b.config.Zone end
    return ri.addr(a.config) < ri.addr(b.config)
  end)
  return list
end

-- cache_of gives the cache of a configuration; nil without the plugin.
function coredns.cache_of(config)
  for name, handler in ri.pairs(config.registry) do
    if name == "cache" and ri.typeof(handler) == coredns.cache_type then return handler end
  end
end

-- entries counts what is in one half of a cache.
function coredns.entries(half)
  local count = 0
  for _, shard in ri.pairs(half.shards) do count = count + #shard.items end
  return count
end

-- forwards lists {addr =, zone =, forward =}, each plugin once.
function coredns.forwards()
  local list, seen = {}, {}
  for _, found in ipairs(coredns.configs()) do
    for name, handler in ri.pairs(found.config.registry) do
      while name == "forward" and handler ~= nil and ri.typeof(handler) == "*" .. coredns.forward and not seen[ri.addr(handler)] do
        seen[ri.addr(handler)] = true
        list[#list + 1] = { addr = found.server.Addr, zone = found.config.Zone, forward = handler }
        handler = handler.Next
      end
    end
  end
  return list
end

-- down lists the upstreams of a forward plugin that it takes for down, and counts all.
local function down(forward)
  local list, all = {}, 0
  for _, proxy in ri.pairs(forward.proxies) do
    all = all + 1
    if forward.maxfails > 0 and proxy.fails > forward.maxfails then
      list[#list + 1] = ("%s: %d health checks failed, one after the other"):format(proxy.addr, proxy.fails)
    end
  end
  table.sort(list)
  return list, all
end

-- findings tells of upstreams that are down, and of questions that are refused since too many are under way.
function coredns.findings()
  local out = {}
  for _, found in ipairs(coredns.forwards()) do
    local forward, place = found.forward, ("zone %s of %s"):format(found.zone, found.addr)
    local list, all = down(forward)
    if #list > 0 then
      local every, then_what = #list == all, "each is asked all the same, by chance"
      if ri.has(forward, "failfastUnhealthyUpstreams") and forward.failfastUnhealthyUpstreams then then_what = "what is asked is answered with SERVFAIL" end
      out[#out + 1] = {
        severity = every and "critical" or "warning", evidence = list, where = place,
        what = every and ("forward %s: no upstream of %d passes its health check: %s"):format(forward.from, all, then_what)
          or ("forward %s: %d of %d upstreams are down"):format(forward.from, #list, all),
        next = "ask them (dig @UPSTREAM), and see whether the network leads there",
      }
    end
    if forward.maxConcurrent > 0 and ri.cmp(forward.concurrent, forward.maxConcurrent) >= 0 then
      out[#out + 1] = {
        severity = "critical", where = place, what = ("forward %s: %s questions are under way, which is max_concurrent: more are refused"):format(
          forward.from, tostring(forward.concurrent)),
        next = "are the upstreams slow? ri run conns; more memory allows a larger max_concurrent",
      }
    end
  end
  return out
end

return coredns
