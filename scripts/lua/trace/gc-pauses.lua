-- Pauses of the whole program, as they end.

return {
  title = "runtime: pauses of the whole program (GC and others)",
  category = "trace",
  description = [[
Traces the stops of the world, when the runtime has started it again: why (the garbage collector stops it twice a cycle), for how long, and how much of it went by
until all goroutines had stopped. The times are the runtime's own: those of a cycle are together what runtime.MemStats.PauseNs says. Go >= 1.23.]],
  needs = { funcs = { "runtime.startTheWorldWithSema" }, fields = { "runtime.worldStop.startedStopping", "runtime.worldStop.finishedStopping" } },
  params = {
    { name = "over", type = "duration", default = "0s", min = 0, help = "only longer pauses" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      func = "runtime.startTheWorldWithSema",
      returns = true, -- with the time at which all threads were woken
      show = { woken = "r0", reason = "w.reason", started = "w.startedStopping", stopped = "w.finishedStopping" },
    },
  },
  columns = {
    { name = "time", type = "time", help = "when it ended" },
    { name = "duration", type = "duration" },
    { name = "stopping", type = "duration", help = "until all had stopped; part of the duration" },
    { name = "reason" },
  },
  sample = [[
TIME                      DURATION  STOPPING  REASON
2026-11-29T02:51:59.044Z  48.21us    9.41us   GC sweep termination
2026-11-29T02:51:59.046Z  81.77us    7.02us   GC mark termination]],
  run = function(p)
    local names = {}
    local ok, texts = pcall(ri.var, "runtime.stwReasonStrings") -- the linker leaves it out of programs that don't need it
    if ok then
      for i = 0, #texts - 1 do names[i] = tostring(texts[i]) end
    end
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      local duration = hit.woken and hit.started and hit.woken - hit.started
      if not hit.so_far and (not duration or duration >= p.over) then
        ri.emit {
          time = hit.time, duration = duration, stopping = hit.stopped and hit.stopped - hit.started,
          reason = names[hit.reason] or hit.reason and "reason " .. tostring(hit.reason) or hit.missing.reason,
        }
      end
    end
  end,
}
