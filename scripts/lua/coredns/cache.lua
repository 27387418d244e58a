-- What a CoreDNS server has in its caches.

local coredns, words = require("coredns/server"), require("words")

-- names gives what the program calls the numbers of a package variable of github.com/miekg/dns; the number itself where it has no name.
local function names(variable)
  local known = {}
  local ok, map = pcall(ri.var, "github.com/miekg/dns." .. variable)
  if ok then
    for number, name in ri.pairs(map) do known[number] = name end
  end
  return function(number) return known[number] or tostring(number) end
end

-- remaining is how long an entry is fresh, in nanoseconds; less than nothing of one that is stale.
local function remaining(item)
  local age = ri.age(ri.ref(item, "stored"))
  return age and math.floor((item.origTTL - age) * 1e9)
end

-- each calls f for each entry of each cache, which zones may share: the zone is the first that has it.
local function each(p, f)
  local seen = {}
  for _, found in ipairs(coredns.configs()) do
    local cache = coredns.cache_of(found.config)
    if cache and not seen[ri.addr(cache)] and (p.zone == "" or p.zone == found.config.Zone) then
      seen[ri.addr(cache)] = true
      for _, half in ipairs { { "answer", cache.pcache }, { "denial", cache.ncache } } do
        if p.kind == "all" or p.kind == half[1] then
          for _, shard in ri.pairs(half[2].shards) do
            for _, item in ri.pairs(shard.items) do f(found, half[1], item) end
          end
        end
      end
    end
  end
end

return {
  title = "what a CoreDNS server has in its caches",
  category = "coredns",
  description = [[
Lists cached answers and denials with what is left of their time. Stale entries stay until their place is needed. Without an order of its own a cache is
listed by name; with sort=remaining what goes first is first.]],
  params = {
    { name = "name", type = "string", default = "", help = "only names that contain this" },
    { name = "zone", type = "string", default = "", help = "only of the cache of this zone, as coredns-zones shows it" },
    { name = "kind", type = "enum", values = { "all", "answer", "denial" }, default = "all", help = "only these" },
    { name = "sort", type = "enum", values = { "name", "remaining" }, default = "name", help = "what comes first" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "entries shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine" },
    types = { coredns.server, coredns.cache },
    fields = { coredns.server .. ".zones", coredns.config .. ".registry", coredns.cache .. ".pcache", coredns.cache .. ".ncache" },
  },
  columns = {
    { name = "addr", help = "of the server", key = true },
    { name = "zone", help = "whose cache it is; the first, where zones share one", key = true },
    { name = "kind", help = "answer or denial", key = true },
    { name = "name", help = "that was asked for", key = true },
    { name = "type", help = "that was asked for", key = true },
    { name = "rcode", help = "of the answer" },
    { name = "records", type = "int", help = "in the answer" },
    { name = "ttl", type = "duration", help = "when it came" },
    { name = "remaining", type = "duration", help = "of it; less than nothing: it is stale" },
  },
  sample = [[
ADDR                   ZONE          KIND    NAME                  TYPE  RCODE     RECORDS     TTL  REMAINING
dns://127.0.0.1:15353  example.org.  denial  nothing.example.org.  A     NXDOMAIN        0      5m      4m12s
dns://127.0.0.1:15353  example.org.  answer  www.example.org.      A     NOERROR         1      2m      1m12s
2 entries]],
  run = function(p)
    local list = {}
    each(p, function(found, kind, item)
      local name = item.Name
      if p.name == "" or name:find(p.name, 1, true) then
        list[#list + 1] = { found = found, kind = kind, item = item, name = name, qtype = item.QType, by = p.sort == "remaining" and remaining(item) or 0 }
      end
    end)
    table.sort(list, function(a, b)
      if a.by ~= b.by then return a.by < b.by end
      if a.name ~= b.name then return a.name < b.name end
      if a.qtype ~= b.qtype then return a.qtype < b.qtype end
      return ri.addr(a.item) < ri.addr(b.item)
    end)
    local types, codes = names("TypeToString"), names("RcodeToString")
    for i = 1, math.min(#list, p.limit) do
      local e = list[i]
      ri.emit {
        addr = e.found.server.Addr, zone = e.found.config.Zone, kind = e.kind, name = e.name, type = types(e.qtype), rcode = codes(e.item.Rcode), records = #e.item.Answer,
        ttl = e.item.origTTL * 1e9, remaining = remaining(e.item),
      }
    end
    print(words.shown(#list, "entry", p.limit))
  end,
}
