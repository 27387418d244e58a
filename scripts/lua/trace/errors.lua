-- Calls of a function that give an error.

local calls = require("trace/calls")

return {
  title = "calls of a function that give an error",
  category = "trace",
  description = [[
Traces the calls of a function whose error isn't nil, with arguments, the error and who calls. The kernel decides; a return that isn't shown costs some
microseconds. The function is named as Go prints it, as for ri trace.]],
  params = calls.params {},
  probes = { { func = "${func}", returns = true, when = "err != nil" } },
  columns = calls.columns,
  sample = [[
TIME                      GOROUTINE  DURATION  ARGS                RESULTS
2026-11-29T02:51:59.044Z         51    12.9us  id=828 tenant="t0"  err=&fmt.wrapError{msg: "finding 828: no such order", ...}]],
  run = calls.run,
}
