-- Waits for locks, as they end.

return {
  title = "sync: waits for locks as they end",
  category = "trace",
  description = [[
Traces the calls of Mutex.Lock, RWMutex.Lock and RWMutex.RLock that have to wait, when they have the lock: for how long, which lock, and who waited. Locks that are
free cost nothing. A writer that waits for another one waits for the RWMutex's Mutex, which has the same address; then, if it has to, for readers: two waits.]],
  params = {
    { name = "over", type = "duration", default = "1ms", min = 0, help = "only waits that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  needs = { types = { "sync.Mutex" } },
  -- By the package's name: from Go 1.24 on it is internal/sync's.
  probes = {
    { name = "Mutex", func = "sync.(*Mutex).lockSlow", returns = true, when = "duration >= ${over}", show = { at = "uintptr(m)" } },
    -- The runtime's, by the names that it has in package sync; addr is RWMutex.readerSem or writerSem.
    { name = "readerSem", func = "sync.runtime_SemacquireRWMutexR", returns = true, optional = true, when = "duration >= ${over}", show = { at = "uintptr(addr)" } },
    { name = "writerSem", func = "sync.runtime_SemacquireRWMutex", returns = true, optional = true, when = "duration >= ${over}", show = { at = "uintptr(addr)" } },
  },
  columns = {
    { name = "time", type = "time", help = "when it began" },
    { name = "goroutine", type = "int" },
    { name = "duration", type = "duration" },
    { name = "kind", help = "Mutex; RWMutex.RLock, for a writer; RWMutex.Lock, for readers" },
    { name = "lock", type = "address" },
    { name = "by", cut = "left", help = "who called Lock" },
    { name = "ended", optional = true, hidden = true, help = "if the call has not returned: the duration is how long it has lasted so far" },
    { name = "callers", cut = "left", help = "innermost first", hidden = true },
  },
  sample = [[
TIME                      GOROUTINE  DURATION  KIND           LOCK          BY
2026-11-29T02:51:59.044Z         51    2.14ms  Mutex          0xc0001a4010  main.(*Store).Find main.go:27
2026-11-29T02:51:59.101Z         52    1.02ms  RWMutex.RLock  0xc0001a4040  main.(*Store).All main.go:41]],
  run = function(p)
    local offsets = {}
    local ok, rw = pcall(ri.type, "sync.RWMutex")
    for _, field in ipairs(ok and rw.fields or {}) do offsets[field.name] = field.offset end
    local kinds = { readerSem = "RWMutex.RLock", writerSem = "RWMutex.Lock" }
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
      local by
      for _, line in ipairs(hit.stack or {}) do
        if not by and not line:find("^sync%.") and not line:find("^internal/sync%.") then by = line end
      end
      local lock = hit.at
      if lock and kinds[hit.probe] then lock = offsets[hit.probe] and lock - offsets[hit.probe] end
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, duration = hit.duration or hit.so_far, kind = kinds[hit.probe] or hit.probe, lock = lock, by = by,
        callers = hit.stack, ended = hit.ended,
      }
    end
  end,
}
