-- Sets GOGC, as far as it is data: the pacer's percentage.

return {
  title = "another GOGC for a running process",
  category = "go",
  description = [[
Sets the percentage that debug.SetGCPercent sets: by how much the heap may grow before the next collection; off is -1. By data alone the pacer takes it up at the end of the
next collection, which works out the goal of the one after it; debug.SetGCPercent does that at once. The least heap (4 MiB at 100) is set with it.]],
  params = { { name = "percent", type = "int", required = true, help = "100 is Go's own; -1 is off" } },
  needs = { vars = { "runtime.gcController" }, fields = { "runtime.gcControllerState.gcPercent", "runtime.gcControllerState.heapMinimum" } },
  columns = { { name = "was", type = "int", help = "percent, until now" }, { name = "percent", type = "int", help = "from the next collection on" }, { name = "heap_minimum", type = "bytes", help = "the least goal" } },
  sample = [[
WAS  PERCENT  HEAP MINIMUM
100      200       8.0 MiB]],
  run = function(p)
    if p.percent < -1 then error("percent is -1 (off) or more", 0) end
    local least = math.floor(4 * 1024 * 1024 * (p.percent < 0 and 100 or p.percent) / 100)
    ri.emit { was = ri.var("runtime.gcController").gcPercent, percent = p.percent, heap_minimum = least }
    ri.change("GOGC " .. p.percent, function(tx)
      tx:update("runtime.gcController.gcPercent", p.percent)
      tx:update("runtime.gcController.heapMinimum", least)
    end)
  end,
}
