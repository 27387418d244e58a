-- The zones of a CoreDNS server.

local coredns, words = require("coredns/server"), require("words")

return {
  title = "the zones of a CoreDNS server: address, plugins, cache",
  category = "coredns",
  description = [[
Lists the zones that are served, where, by which plugins, and how full their cache is. Zones of one block of the Corefile share its plugins and its cache: they
show the same counts. A cache that is full drops an entry at random for each new one.]],
  needs = { runtime = { "goroutine" }, types = { coredns.server, coredns.config }, fields = { coredns.server .. ".zones", coredns.config .. ".registry" } },
  columns = {
    { name = "addr", help = "where it is served", key = true },
    { name = "zone", key = true },
    { name = "view", help = "of several views of a zone, which", key = true },
    { name = "plugins", help = "that registered themselves, sorted by name" },
    { name = "answers", type = "int", help = "in the cache; none: it has no cache" },
    { name = "denials", type = "int", help = "in the cache: names that aren't, and errors" },
    { name = "max_answers", type = "int", help = "that the cache holds" },
    { name = "max_denials", type = "int" },
  },
  sample = [[
ADDR                   ZONE          VIEW  PLUGINS           ANSWERS  DENIALS  MAX ANSWERS  MAX DENIALS
dns://127.0.0.1:15353  .                   cache, template         6        0         5000         2000
dns://127.0.0.1:15353  example.org.        cache, file, log        1        1        10000        10000
2 zones]],
  run = function()
    local list = coredns.configs()
    for _, found in ipairs(list) do
      local config, names = found.config, {}
      for name in ri.pairs(config.registry) do names[#names + 1] = name end
      table.sort(names)
      local cache = coredns.cache_of(config)
      ri.emit {
        addr = found.server.Addr, zone = config.Zone, view = ri.has(config, "ViewName") and config.ViewName or "", plugins = table.concat(names, ", "),
        answers = cache and coredns.entries(cache.pcache), denials = cache and coredns.entries(cache.ncache), max_answers = cache and cache.pcap,
        max_denials = cache and cache.ncap,
      }
    end
    print(words.count(#list, "zone"))
  end,
}
