-- Goroutines as they are created, by their creators.

return {
  title = "goroutines created, by creator",
  category = "trace",
  description = [[
Counts for a time which functions begin goroutines, and how often. Each costs a hit; a program that begins more than some ten thousand a second needs a larger budget.]],
  needs = { funcs = { "runtime.newproc" } },
  params = {
    { name = "limit", type = "int", default = 10000, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "10s", min = "1s", help = "end after so long" },
  },
  probes = { { func = "runtime.newproc", show = {} } },
  columns = {
    { name = "count", type = "int" },
    { name = "per_second", type = "float" },
    { name = "creator", cut = "left", key = true },
  },
  sample = [[
COUNT  PER SECOND  CREATOR
  412        41.2  net/http.(*Server).Serve server.go:3285]],
  run = function(p)
    local counts, first, last = {}, nil, nil
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 2 } do
      first, last = first or hit.time, hit.time
      local creator = hit.stack and hit.stack[1] or "?"
      counts[creator] = (counts[creator] or 0) + 1
    end
    local list = {}
    for creator, n in pairs(counts) do list[#list + 1] = { creator = creator, count = n } end
    table.sort(list, function(a, b) return a.count > b.count end)
    for _, one in ipairs(list) do
      ri.emit { creator = one.creator, count = one.count, per_second = last > first and one.count / (last - first) or nil }
    end
  end,
}
