-- Large allocations, as they are made.

return {
  title = "large allocations as they are made",
  category = "trace",
  description = [[
Traces what the program allocates in spans of their own (more than 32 KiB), with who does. Smaller allocations don't pass by there.]],
  params = {
    { name = "over", type = "int", default = 0, min = 0, help = "only those of more bytes" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  needs = { funcs = { "runtime.(*mcache).allocLarge" } },
  probes = { { func = "runtime.(*mcache).allocLarge", when = "size > ${over}", show = { size = "size", noscan = "noscan" } } },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "size", type = "bytes" },
    { name = "pointers", type = "bool", help = "whether there may be some in it" },
    { name = "by", cut = "left", help = "who asked for it" },
    { name = "callers", cut = "left", help = "innermost first", hidden = true },
  },
  sample = [[
TIME                      GOROUTINE      SIZE  POINTERS  BY
2026-11-29T02:51:59.044Z         51  64.0 KiB  false     main.read main.go:27]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 12 } do
      local by
      for _, line in ipairs(hit.stack or {}) do
        if not by and not line:find("^runtime%.") then by = line end
      end
      ri.emit { time = hit.time, goroutine = hit.goroutine, size = hit.size, pointers = not hit.noscan, by = by, callers = hit.stack }
    end
  end,
}
