-- Names that the program looks up, as they are answered.

return {
  title = "net: names that are looked up",
  category = "trace",
  description = [[
Traces the look-ups of hosts by package net, when they are answered: the name, how many addresses, how long it took, and the error.
Look-ups of one host that are made at once are one.]],
  needs = { funcs = { "net.(*Resolver).lookupIP" } },
  params = {
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  -- Hosts that are addresses don't come so far.
  probes = {
    { func = "net.(*Resolver).lookupIP", returns = true, show = { network = "network", host = "host", addresses = "len(addrs)", err = "err" } },
    { func = "net.(*Resolver).lookupHost", returns = true, optional = true, show = { host = "host", addresses = "len(addrs)", err = "err" } },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "network" },
    { name = "host" },
    { name = "addresses", type = "int" },
    { name = "duration", type = "duration" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  NETWORK  HOST         ADDRESSES  DURATION  ERROR
2026-11-29T02:51:59.044Z         51  ip       example.com          2    2.14ms  -
2026-11-29T02:51:59.101Z         52  ip       no.example           0    8.02ms  &net.DNSError{...}]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, network = hit.network or "ip", host = hit.host, addresses = hit.addresses,
        duration = hit.duration or hit.so_far, error = hit.err or hit.ended,
      }
    end
  end,
}
