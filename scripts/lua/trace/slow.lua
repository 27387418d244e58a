-- Calls of a function that take long.

local calls = require("trace/calls")

return {
  title = "calls of a function that take long",
  category = "trace",
  description = [[
Traces the calls of a function that take longer than a time, with arguments, results and who calls. The kernel decides; a return that isn't shown costs some
microseconds. The function is named as Go prints it, as for ri trace.]],
  params = calls.params { { name = "over", type = "duration", default = "100ms", min = 0, help = "only calls that took longer" } },
  probes = { { func = "${func}", returns = true, when = "duration >= ${over}" } },
  columns = calls.columns,
  sample = [[
TIME                      GOROUTINE  DURATION  ARGS                RESULTS
2026-11-29T02:51:59.044Z         51     214ms  id=827 tenant="t3"  err=nil]],
  run = calls.run,
}
