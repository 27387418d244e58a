-- Calls of a function that take long.

return {
  title = "calls of a function that take long",
  category = "trace",
  description = [[
Traces the calls of a function that take longer than a time, with arguments, results and who calls. The kernel decides; a return that isn't shown costs some
microseconds. The function is named as Go prints it, as for ri trace.]],
  params = {
    { name = "func", type = "string", required = true, help = "the function: main.(*Server).handle" },
    { name = "over", type = "duration", default = "100ms", min = 0, help = "only calls that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = { { func = "${func}", returns = true, when = "duration >= ${over}" } },
  columns = {
    { name = "time", type = "time", help = "when it was called" },
    { name = "goroutine", type = "int" },
    { name = "duration", type = "duration" },
    { name = "func", cut = "left", hidden = true },
    { name = "args" },
    { name = "results" },
    { name = "ended", optional = true, help = "if the call has not returned: the duration is how long it has lasted so far" },
    { name = "callers", cut = "left", help = "innermost first", hidden = true },
  },
  sample = [[
TIME                      GOROUTINE  DURATION  ARGS                RESULTS
2026-11-29T02:51:59.044Z         51     214ms  id=827 tenant="t3"  err=nil]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, duration = hit.duration or hit.so_far, func = hit.func, args = table.concat(hit.args, ' '),
        results = table.concat(hit.results, ' '), callers = hit.stack, ended = hit.ended,
      }
    end
  end,
}
