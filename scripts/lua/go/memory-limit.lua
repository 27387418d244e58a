-- Sets GOMEMLIMIT.

return {
  title = "another GOMEMLIMIT for a running process",
  category = "go",
  description = [[
Sets the soft memory limit that debug.SetMemoryLimit sets. The pacer reads it whenever it works out a goal, so it holds at once; the scavenger, which gives
memory back to the system, takes it up at the end of the next collection.]],
  params = { { name = "limit", type = "int", required = true, help = "in bytes; 9223372036854775807 is none" } },
  needs = { vars = { "runtime.gcController" }, fields = { "runtime.gcControllerState.memoryLimit" } },
  columns = { { name = "was", help = "bytes, until now" }, { name = "limit", help = "bytes, from now on" } },
  sample = [[
WAS                  LIMIT
9223372036854775807  1073741824]],
  run = function(p)
    if ri.cmp(p.limit, 0) < 0 then error("a limit isn't negative", 0) end
    ri.emit { was = ri.var("runtime.gcController").memoryLimit, limit = p.limit }
    ri.change("GOMEMLIMIT " .. tostring(p.limit), function(tx) tx:update("runtime.gcController.memoryLimit", p.limit) end)
  end,
}
