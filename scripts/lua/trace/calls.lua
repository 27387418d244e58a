-- What instruments have in common that trace the calls of any function: slow, errors.
local calls = {}

-- params are those that name the function and end the trace, with others between them.
function calls.params(others)
  local all = { { name = "func", type = "string", required = true, help = "the function: main.(*Server).handle" } }
  for _, param in ipairs(others) do all[#all + 1] = param end
  all[#all + 1] = { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" }
  all[#all + 1] = { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" }
  return all
end

calls.columns = {
  { name = "time", type = "time", help = "when it was called" },
  { name = "goroutine", type = "int" },
  { name = "duration", type = "duration" },
  { name = "func", cut = "left", hidden = true },
  { name = "args" },
  { name = "results" },
  { name = "callers", cut = "left", help = "innermost first", hidden = true },
}

function calls.run(p)
  for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
    ri.emit {
      time = hit.time, goroutine = hit.goroutine, duration = hit.duration, func = hit.func, args = table.concat(hit.args, ' '),
      results = table.concat(hit.results, ' '), callers = hit.stack,
    }
  end
end

return calls
