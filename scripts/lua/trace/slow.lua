-- How long the calls of a function take, with the slowest of each length.

local calls = require("trace/calls")

return {
  title = "how long calls of a function take, and the slowest",
  category = "trace",
  description = [[
Counts the calls of a function by how long they take, in powers of two. The kernel counts; calls that take longer than a time are taken along besides, and the
slowest of each row is shown with its arguments, results and callers. A call that has not returned at the end is a row by itself. The function is named as Go prints
it, as for ri trace.]],
  params = {
    { name = "func", type = "string", required = true, help = "the function: main.(*Server).handle" },
    { name = "over", type = "duration", default = "1ms", min = 0, help = "show the slowest of calls that took longer" },
    calls.chosen[1], calls.chosen[2],
    { name = "limit", type = "int", default = 10000, min = 1, help = "end after so many of these" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    { name = "all", func = "${func}", histogram = true, when = "${when}" },
    { name = "slow", func = "${func}", returns = true, when = { "duration >= ${over}", "${when}" }, show = { shown = "${show}" } },
  },
  columns = {
    { name = "func", cut = "left", hidden = true },
    { name = "from", type = "duration", help = "calls that took so long or longer" },
    { name = "below", type = "duration" },
    { name = "count", type = "int", help = "calls" },
    { name = "slowest", type = "duration", help = "of them, the slowest that was taken along" },
    { name = "time", type = "time", hidden = true, help = "when that was called" },
    { name = "goroutine", type = "int" },
    { name = "shown", optional = true, help = "what show= asks for" },
    { name = "args" },
    { name = "results" },
    { name = "ended", optional = true, help = "not returned: the time is how long it has lasted so far" },
    { name = "callers", cut = "left", help = "innermost first", hidden = true },
  },
  sample = [[
FROM      BELOW     COUNT  SLOWEST  GOROUTINE  SHOWN  ARGS                RESULTS  ENDED
65.536µs  131.072µs  1204  -                -  -      -                   -        -
1.048ms   2.097ms      17  2.01ms          34  -      id=431 tenant="t1"  err=nil  -
134.2ms   268.4ms       1  214ms           51  -      id=827 tenant="t3"  err=nil  -
-         -             -  310ms           60  -      id=901 tenant="t3"  -        not returned]],
  run = function(p)
    local seen, order = {}, {}
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
      local f = seen[hit.func]
      if not f then
        f = { counts = {}, slowest = {}, ends = {}, open = {} }
        seen[hit.func] = f
        order[#order + 1] = hit.func
      end
      local function bucket(below)
        if not f.counts[below] then
          f.counts[below] = 0
          f.ends[#f.ends + 1] = below
        end
      end
      if hit.probe == "all" then
        for i, below in ipairs(hit.below) do
          bucket(below)
          f.counts[below] = f.counts[below] + hit.counts[i]
        end
      elseif hit.so_far then
        f.open[#f.open + 1] = hit
      elseif hit.duration then
        local below = 1
        while below <= hit.duration do below = 2 * below end
        bucket(below)
        local slowest = f.slowest[below]
        if not slowest or slowest.duration < hit.duration then f.slowest[below] = hit end
      end
    end
    for _, name in ipairs(order) do
      local f = seen[name]
      local function emit(from, below, count, hit)
        hit = hit or {}
        ri.emit {
          func = name, from = from, below = below, count = count, slowest = hit.duration or hit.so_far, time = hit.time,
          goroutine = hit.goroutine, shown = calls.shown(hit), args = hit.args and table.concat(hit.args, ' '),
          results = hit.duration and hit.results and table.concat(hit.results, ' ') or nil, ended = hit.ended, callers = hit.stack,
        }
      end
      table.sort(f.ends)
      -- The two probes read the clock one after the other: a call of just such a length may be counted in the row beside its own.
      for _, below in ipairs(f.ends) do
        for _, beside in ipairs { below / 2, below * 2 } do
          if f.counts[below] == 0 and (f.counts[beside] or 0) > 0 and not f.slowest[beside] then
            f.counts[below], f.counts[beside] = 1, f.counts[beside] - 1
          end
        end
      end
      for _, below in ipairs(f.ends) do
        if f.counts[below] > 0 or f.slowest[below] then emit(below / 2, below, f.counts[below], f.slowest[below]) end
      end
      for _, hit in ipairs(f.open) do emit(nil, nil, nil, hit) end
    end
  end,
}
