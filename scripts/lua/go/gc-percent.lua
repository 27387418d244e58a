-- Sets GOGC, as far as it is data: the pacer's percentage.

-- Nothing collects while the goal is this, so a percentage alone would be taken up never: runtime.gcControllerState.commit (mgcpacer.go, Go 1.20 to 1.27).
local never = ri.int '0xffffffffffffffff'

-- goal is what commit computes.
local function goal(c, percent, least)
  local n = c.heapMarked + math.floor((c.heapMarked + c.lastStackScan + c.globalsScan) * percent / 100)
  return math.max(n, least)
end

return {
  title = "another GOGC for a running process",
  category = "go",
  description = [[
Sets the percentage that debug.SetGCPercent sets: by how much the heap may grow before the next collection; off is -1. By data alone the pacer takes it up at the end of the
next collection, which works out the goal of the one after it; debug.SetGCPercent does that at once. Off, and on again, hold at once here too: the goal is set with it. The least heap (4 MiB at 100)
is set with it.]],
  params = { { name = "percent", type = "int", required = true, help = "100 is Go's own; -1 is off" } },
  needs = { vars = { "runtime.gcController" }, fields = { "runtime.gcControllerState.gcPercent", "runtime.gcControllerState.heapMinimum", "runtime.gcControllerState.gcPercentHeapGoal",
    "runtime.gcControllerState.heapMarked", "runtime.gcControllerState.lastStackScan", "runtime.gcControllerState.globalsScan" } },
  columns = { { name = "was", type = "int", help = "percent, until now" }, { name = "percent", type = "int", help = "from the next collection on" }, { name = "heap_minimum", type = "bytes", help = "the least goal" } },
  sample = [[
WAS  PERCENT  HEAP MINIMUM
100      200       8.0 MiB]],
  run = function(p)
    if p.percent < -1 then error("percent is -1 (off) or more", 0) end
    local least = math.floor(4 * 1024 * 1024 * (p.percent < 0 and 100 or p.percent) / 100)
    local c = ri.var "runtime.gcController"
    local is_off = ri.cmp(c.gcPercentHeapGoal, never) == 0
    ri.emit { was = c.gcPercent, percent = p.percent, heap_minimum = least }
    ri.change("GOGC " .. p.percent, function(tx)
      tx:update("runtime.gcController.gcPercent", p.percent)
      tx:update("runtime.gcController.heapMinimum", least)
      if p.percent < 0 and not is_off then tx:update("runtime.gcController.gcPercentHeapGoal", never) end
      if p.percent >= 0 and is_off then tx:update("runtime.gcController.gcPercentHeapGoal", goal(c, p.percent, least)) end
    end)
  end,
}
