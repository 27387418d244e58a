-- A CoreDNS server (github.com/coredns/coredns; 1.15), as the instruments of this folder see it.
--
-- The way in: no package variable leads to the servers. Each *dnsserver.Server, one for an address that it listens on, is the receiver of Serve and ServePacket in
-- the frames of goroutines, where ri.find finds it. From there on it is fields:
--
--   Server.zones      map[string][]*Config   by zone; several of one zone are told apart by views
--   Config.registry   map[string]Handler     the plugins that registered, by name. Of two with one name the last one is there
--   cache.Cache       pcache and ncache (answers; denials and errors): 256 shards, each a map of *item
--
-- Zones of one block of the Corefile share its plugins, and so its cache.

local coredns = {}

local root = "github.com/coredns/coredns/"
coredns.server = root .. "core/dnsserver.Server"
coredns.config = root .. "core/dnsserver.Config"
coredns.cache = root .. "plugin/cache.Cache"
coredns.cache_type = "*" .. coredns.cache

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

return coredns
