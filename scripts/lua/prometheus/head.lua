-- The head of a Prometheus server's time series database: what is in memory.

local prometheus = require("prometheus/server")

-- gauge reads a prometheus.Gauge: the bits of a float64.
local function gauge(struct, field)
  local g = ri.has(struct, field) and struct[field]
  if g and ri.has(g, "valBits") then return math.floor(ri.value(ri.cast(ri.ref(g, "valBits"), "float64"))) end
end

return {
  title = "the head of Prometheus's database, as /api/v1/status/tsdb",
  category = "prometheus",
  description = [[
Shows how much is in memory: series, chunks, pairs of label and value, and from when to when. MIN TIME far back means that the head isn't
compacted into blocks any more. prometheus-series and prometheus-postings say what the series are.]],
  needs = {
    runtime = { "goroutine", "poller" },
    types = { prometheus.package .. "tsdb.Head" },
    fields = { prometheus.package .. "tsdb.Head.numSeries", prometheus.package .. "tsdb.Head.minTime", prometheus.package .. "tsdb.Head.postings", prometheus.package .. "tsdb/index.MemPostings.m" },
  },
  columns = {
    { name = "series", type = "int" },
    { name = "stale", type = "int", help = "series that ended; not in older versions" },
    { name = "chunks", type = "int", help = "of samples, in memory and mapped" },
    { name = "label_names", type = "int" },
    { name = "label_pairs", type = "int", help = "of a label's name and a value" },
    { name = "min_time", type = "time", help = "of the oldest sample; none: the head is empty" },
    { name = "max_time", type = "time", help = "of the newest" },
    { name = "out_of_order_from", type = "time", help = "of the oldest sample that came out of order" },
    { name = "last_series", type = "int", help = "the number of the newest series: how many there were since the start" },
    { name = "truncating", type = "bool", help = "what went into a block is being taken out" },
    { name = "wal_segment", type = "int", help = "of the write-ahead log, that is written to" },
    { name = "wal_folder" },
  },
  sample = [[
SERIES  STALE  CHUNKS  LABEL NAMES  LABEL PAIRS  MIN TIME              MAX TIME              OUT OF ORDER FROM  LAST SERIES  TRUNCATING  WAL SEGMENT  WAL FOLDER
   762      0    1524           28          538  2026-11-21T07:15:45Z  2026-11-21T07:18:20Z                             762       false            0  data/wal]],
  run = function()
    local head = prometheus.head()
    local names, pairs_of = 0, 0
    for name, values in ri.pairs(head.postings.m) do
      if name ~= "" then names, pairs_of = names + 1, pairs_of + #values end
    end
    local empty = prometheus.time(prometheus.number(head, "minTime")) == nil
    local segment = head.wal and head.wal.segment
    local truncating = prometheus.number(head, "memTruncationInProcess")
    if type(truncating) == "number" then truncating = truncating ~= 0 end
    ri.emit {
      series = prometheus.number(head, "numSeries"), stale = prometheus.number(head, "numStaleSeries"), chunks = gauge(head.metrics, "chunks"),
      label_names = names, label_pairs = pairs_of, min_time = prometheus.time(prometheus.number(head, "minTime")),
      max_time = not empty and prometheus.time(prometheus.number(head, "maxTime")) or nil,
      out_of_order_from = prometheus.time(prometheus.number(head, "minOOOTime")), last_series = prometheus.number(head, "lastSeriesID"),
      truncating = truncating, wal_segment = segment and segment.i, wal_folder = head.wal and head.wal.dir,
    }
  end,
}
