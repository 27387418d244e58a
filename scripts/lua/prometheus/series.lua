-- The series in a Prometheus server's head, by metric.

local prometheus, words = require("prometheus/server"), require("words")

-- metrics gives a row for each metric, those with most series first.
local function metrics(head, p)
  local all, list = head.postings.m.__name__, {}
  local series = 0
  if all then
    for name, refs in ri.pairs(all) do
      list[#list + 1] = { name = name, series = #refs }
      series = series + #refs
    end
  end
  table.sort(list, function(a, b)
    if a.series ~= b.series then return a.series > b.series end
    return a.name < b.name
  end)
  for i = 1, math.min(#list, p.limit) do ri.emit { metric = list[i].name, series = list[i].series } end
  print(words.count(series, "series"):gsub("seriess", "series") .. " of " .. words.shown(#list, "metric", p.limit))
end

-- latest is the time of a series' newest sample that is in memory.
local function latest(series)
  local chunk = series.headChunks
  return chunk and prometheus.time(chunk.maxTime)
end

-- chunks counts those of a series: older versions have no count of those that are in memory, but their chain.
local function chunks(series)
  local n = #series.mmappedChunks
  if ri.has(series, "headChunkCount") then return n + prometheus.number(series, "headChunkCount") end
  return n + (series.headChunks and ri.count(ri.linked(series.headChunks, "prev")) or 0)
end

-- series gives a row for each series of one metric.
local function series(head, p)
  local all = head.postings.m.__name__
  local refs = all and all[p.metric]
  if not refs then error(("there is no metric %q in the head; ri run prometheus-series lists those that there are"):format(p.metric), 0) end
  local stripes, gone = head.series, 0
  local mask = stripes.size - 1
  for i = 0, math.min(#refs, p.limit) - 1 do
    local ref = refs[i]
    local s = stripes.series[ri.bit.band(ref, mask)][ref]
    if s then
      ri.emit {
        metric = p.metric, ref = ref, labels = prometheus.set(prometheus.labels(s.lset), function(name) return name ~= "__name__" end), chunks = chunks(s),
        last_time = latest(s), last_value = ri.has(s, "lastValue") and s.lastValue or nil,
      }
    else
      gone = gone + 1
    end
  end
  print(("%d series of %s"):format(#refs, p.metric) .. (#refs > p.limit and (", the first %d shown (limit=)"):format(p.limit) or ""))
  if gone > 0 then print(("%d of them are in the index only: they were removed a moment ago, or aren't there yet"):format(gone)) end
end

return {
  title = "Prometheus's metrics with most series; one metric's series",
  category = "prometheus",
  description = [[
Lists the metrics by how many series they have in memory. With metric=NAME it lists that metric's series: who has so many labels that memory
runs out? prometheus-postings says which label it is.]],
  params = {
    { name = "metric", type = "string", default = "", help = "list the series of this metric" },
    { name = "limit", type = "int", default = 100, min = 0, help = "rows shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine", "poller" },
    types = { prometheus.package .. "tsdb.Head" },
    fields = {
      prometheus.package .. "tsdb.Head.postings", prometheus.package .. "tsdb.Head.series", prometheus.package .. "tsdb/index.MemPostings.m",
      prometheus.package .. "tsdb.stripeSeries.series", prometheus.package .. "tsdb.memSeries.lset", prometheus.package .. "tsdb.memSeries.headChunks",
    },
  },
  columns = {
    { name = "metric", help = "its name", key = true },
    { name = "series", type = "int", optional = true, help = "that the metric has; without metric=" },
    { name = "ref", type = "int", optional = true, help = "the series' number in the head; with metric=, as all that follows", key = true },
    { name = "chunks", type = "int", optional = true, help = "of samples, in memory and mapped" },
    { name = "last_time", type = "time", optional = true, help = "of its newest sample in memory" },
    { name = "last_value", type = "float", optional = true, help = "of its newest sample; not of a histogram" },
    { name = "labels", optional = true, help = "but its name" },
  },
  sample = [[
METRIC                                         SERIES
prometheus_http_requests_total                     64
prometheus_http_request_duration_seconds_bucket    30
762 series of 329 metrics, the first 2 shown (limit=)

with metric=prometheus_sd_kubernetes_events_total limit=1:
METRIC                                 REF  CHUNKS  LAST TIME             LAST VALUE  LABELS
prometheus_sd_kubernetes_events_total  417       6  2026-11-21T07:27:04Z           0  {event="add", instance="127.0.0.1:9090", job="self", role="endpoints"}
18 series of prometheus_sd_kubernetes_events_total, the first 1 shown (limit=)]],
  run = function(p)
    local head = prometheus.head()
    if p.metric == "" then metrics(head, p) else series(head, p) end
  end,
}
