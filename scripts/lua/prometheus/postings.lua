-- The index of a Prometheus server's head: which labels there are, and how many series have them.

local prometheus, words = require("prometheus/server"), require("words")

-- names gives a row for each label, those with most values first.
local function names(m, p)
  local list, bytes_of = {}, prometheus.label_bytes()
  for name, values in ri.pairs(m) do
    if name ~= "" then list[#list + 1] = { name = name, values = values, count = #values } end
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.name < b.name
  end)
  for i = 1, math.min(#list, p.limit) do
    local found, series, bytes = list[i], 0, 0
    for value, refs in ri.pairs(found.values) do series, bytes = series + #refs, bytes + bytes_of(found.name, value, #refs) end
    ri.emit { label = found.name, values = found.count, series = series, bytes = bytes }
  end
  print(words.shown(#list, "label", p.limit))
end

-- values gives a row for each value of one label, those that most series have first.
local function values(m, p)
  local all, list = m[p.label], {}
  if not all then error(("there is no label %q in the head; ri run prometheus-postings lists those that there are"):format(p.label), 0) end
  local bytes_of = prometheus.label_bytes()
  for value, refs in ri.pairs(all) do list[#list + 1] = { value = value, series = #refs } end
  table.sort(list, function(a, b)
    if a.series ~= b.series then return a.series > b.series end
    return a.value < b.value
  end)
  for i = 1, math.min(#list, p.limit) do
    local found = list[i]
    ri.emit { label = p.label, value = found.value, series = found.series, bytes = bytes_of(p.label, found.value, found.series) }
  end
  print(words.shown(#list, "value", p.limit))
end

return {
  title = "Prometheus's labels: their values, series and bytes",
  category = "prometheus",
  description = [[
Lists the labels of the series in memory by how many values they have. A label with many values, such as an id of a request, is what makes
too many series. With label=NAME it lists that label's values by how many series have them.]],
  params = {
    { name = "label", type = "string", default = "", help = "list the values of this label" },
    { name = "limit", type = "int", default = 100, min = 0, help = "rows shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine", "poller" },
    types = { prometheus.package .. "tsdb.Head" },
    fields = { prometheus.package .. "tsdb.Head.postings", prometheus.package .. "tsdb/index.MemPostings.m" },
  },
  columns = {
    { name = "label", help = "its name", key = true },
    { name = "value", optional = true, help = "with label=", key = true },
    { name = "values", type = "int", optional = true, help = "how many the label has" },
    { name = "series", type = "int", help = "that have it" },
    { name = "bytes", type = "bytes", help = "that it takes in them, as Prometheus reckons" },
  },
  sample = [[
LABEL     VALUES  SERIES     BYTES
__name__     329     762  38.3 KiB
le            88     188   3.2 KiB
28 labels, the first 2 shown (limit=)

with label=code:
LABEL  VALUE  SERIES  BYTES
code   200        65  585 B
1 value]],
  run = function(p)
    local m = prometheus.head().postings.m
    if p.label == "" then names(m, p) else values(m, p) end
  end,
}
