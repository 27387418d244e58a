-- Calls of a function that give an error.

local calls = require("trace/calls")

return {
  title = "calls of a function that give an error",
  category = "trace",
  description = [[
Traces the calls of a function whose error isn't nil, with arguments, the error and who calls. The kernel decides; a return that isn't shown costs some
microseconds. The function is named as Go prints it, as for ri trace.]],
  params = calls.params {},
  probes = { { func = "${func}", returns = true, when = { "err != nil", "${when}" }, show = { shown = "${show}", err = "err" } } },
  columns = calls.columns,
  sample = [[
TIME                      GOROUTINE  DURATION  SHOWN  ARGS                RESULTS                                                     ENDED
2026-11-29T02:51:59.044Z         51    12.9us  -      id=828 tenant="t0"  err=&fmt.wrapError{msg: "finding 828: no such order", ...}  -
2026-11-29T02:51:59.107Z         52         -  -      id=829 tenant="t0"  -                                                           without a return (panic or Goexit)]],
  run = calls.run,
}
