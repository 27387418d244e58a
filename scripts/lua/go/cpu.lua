-- Where the CPU time goes, by samples.

local words = require 'words'

local function package(name)
  return name:match('^(.-[^/]*)%.%(') or name:match('^(.*/[^./]*)%.') or name:match('^([^.]*)%.') or name
end

-- count adds up samples by function (by package, by line): those in it, and those in it or in what it called.
local function count(profile, p)
  local byname, list = {}, {}
  for _, s in ipairs(profile.stacks) do
    local matches = p.func == ''
    for _, f in ipairs(s.frames) do
      if not matches and ri.match(f.func, p.func) then matches = true end
    end
    if matches then
      local seen = {}
      for i, f in ipairs(s.frames) do
        local name = f.func
        if p.by == 'package' then name = package(name) end
        if p.by == 'line' and f.file ~= '' then name = ('%s %s:%d'):format(f.func, f.file:match('[^/]*$'), f.line) end
        if name ~= 'runtime.goexit' then
          local one = byname[name]
          if not one then
            one = { name = name, self = 0, total = 0, own = words.own(f.func) }
            byname[name], list[#list + 1] = one, one
          end
          if i == 1 then one.self = one.self + s.count end
          if not seen[name] then
            seen[name] = true
            one.total = one.total + s.count
          end
        end
      end
      ri.sample(s.frames, { s.count, s.count * math.floor(1e9 / profile.hz) })
    end
  end
  return list
end

return {
  title = "CPU: where the time goes, sampled without a stop",
  category = "go",
  description = [[
Samples all threads for some seconds by the kernel's perf events and frame pointers, without a stop, and lists the functions with the most CPU time, the
program's own first: SELF in the function itself, TOTAL with what it called. Ctrl-C ends it with what there is by then. What waits uses none and isn't seen. Time in the kernel counts as [kernel], where this user may see that; code that isn't Go's
is named by its file. --pprof FILE and --folded FILE write the stacks.]],
  params = {
    { name = "seconds", type = "float", default = 5, min = 0.01, max = 3600, help = "sample for so long" },
    { name = "hz", type = "int", default = 99, min = 1, max = 10000, help = "samples a second of each thread's CPU time" },
    { name = "by", type = "enum", values = { "function", "line", "package" }, default = "function", help = "what to add up" },
    { name = "func", type = "string", default = "", help = "only stacks with such a function: a part of its name, or a regular expression" },
    { name = "sort", type = "enum", values = { "self", "total" }, default = "self", help = "which comes first" },
    { name = "limit", type = "int", default = 30, min = 1, max = 100000, help = "rows at most" },
  },
  columns = {
    { name = "self", help = "percent of the samples", align = "right" },
    { name = "total", help = "percent of the samples, with what it called", align = "right" },
    { name = "self_samples", type = "int", help = "samples in the function itself", hidden = true },
    { name = "total_samples", type = "int", help = "samples in the function or what it called", hidden = true },
    { name = "time", type = "duration", help = "CPU time in the function itself" },
    { name = "function", help = "or line, or package", cut = "left", key = true },
  },
  profile = { { type = "samples", unit = "count" }, { type = "cpu", unit = "nanoseconds" } },
  sample = [[
  SELF   TOTAL   TIME  FUNCTION
61.2 %  61.2 %  3.02s  main.busy
20.1 %  99.8 %  990ms  main.spin
 8.0 %   8.0 %  394ms  [kernel]
494 samples of cpu-clock at 99 Hz in 5s on 7 threads: 99 % of a CPU]],
  run = function(p)
    local profile = ri.cpu { seconds = p.seconds, hz = p.hz }
    local list = count(profile, p)
    table.sort(list, function(a, b)
      if a.own ~= b.own then return a.own end
      if a[p.sort] ~= b[p.sort] then return a[p.sort] > b[p.sort] end
      if a.total ~= b.total then return a.total > b.total end
      return a.name < b.name
    end)
    for i = 1, math.min(#list, p.limit) do
      local one = list[i]
      ri.emit {
        self = ('%.1f %%'):format(100 * one.self / profile.samples), total = ('%.1f %%'):format(100 * one.total / profile.samples), self_samples = one.self,
        total_samples = one.total, time = math.floor(one.self * 1e9 / profile.hz), ['function'] = one.name,
      }
    end
    if #list > p.limit then print(('%d of %d are shown (limit=%d)'):format(p.limit, #list, p.limit)) end
    print(('%s of %s at %d Hz in %.3gs on %s: %.0f %% of a CPU%s'):format(words.count(profile.samples, 'sample'), profile.event, profile.hz, profile.seconds,
      words.count(profile.threads, 'thread'), 100 * profile.samples / profile.hz / profile.seconds,
      profile.kernel and '' or "; time in the kernel isn't seen by this user"))
    if profile.lost > 0 then ri.log(words.count(profile.lost, 'sample') .. ' were lost: the machine is too busy, or hz too high') end
  end,
}
