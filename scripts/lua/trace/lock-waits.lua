-- Waits for mutexes, as they end.

return {
  title = "sync: waits for mutexes as they end",
  category = "trace",
  description = [[
Traces the calls of Mutex.Lock that have to wait, when they have the lock: for how long, which lock, and who waited. Locks that are free cost nothing.]],
  params = {
    { name = "over", type = "duration", default = "1ms", min = 0, help = "only waits that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  needs = { types = { "sync.Mutex" } },
  -- By the package's name: from Go 1.24 on it is internal/sync's.
  probes = { { func = "sync.(*Mutex).lockSlow", returns = true, when = "duration >= ${over}", show = { lock = "m" } } },
  columns = {
    { name = "time", type = "time", help = "when it began" },
    { name = "goroutine", type = "int" },
    { name = "duration", type = "duration" },
    { name = "lock", help = "its address, and state when the wait began" },
    { name = "by", cut = "left", help = "who called Lock" },
    { name = "ended", optional = true, help = "if the call has not returned: the duration is how long it has lasted so far" },
    { name = "callers", cut = "left", help = "innermost first", hidden = true },
  },
  sample = [[
TIME                      GOROUTINE  DURATION  LOCK                   BY
2026-11-29T02:51:59.044Z         51    2.14ms  &sync.Mutex{locked}    main.(*Store).Find main.go:27]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
      local by
      for _, line in ipairs(hit.stack or {}) do
        if not by and not line:find("^sync%.") and not line:find("^internal/sync%.") then by = line end
      end
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, duration = hit.duration or hit.so_far, lock = hit.lock, by = by, callers = hit.stack,
        ended = hit.ended,
      }
    end
  end,
}
