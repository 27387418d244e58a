-- What instruments have in common that trace the calls of any function: slow, errors.
local calls = {}

-- chosen are the parameters by which calls are chosen, and what is shown of them instead of all arguments and results.
calls.chosen = {
  { name = "when", type = "hit", help = 'only calls of which this Go expression holds: req.Tenant.Name == "acme"' },
  { name = "show", type = "hit", help = "show this Go expression, and not all arguments: req.Tenant.Name" },
}

-- params are those that name the function and end the trace, with others between them.
function calls.params(others)
  local all = { { name = "func", type = "string", required = true, help = "the function: main.(*Server).handle" } }
  for _, param in ipairs(others) do all[#all + 1] = param end
  for _, param in ipairs(calls.chosen) do all[#all + 1] = param end
  all[#all + 1] = { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" }
  all[#all + 1] = { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" }
  return all
end

calls.columns = {
  { name = "time", type = "time", help = "when it was called" },
  { name = "goroutine", type = "int" },
  { name = "duration", type = "duration" },
  { name = "func", cut = "left", hidden = true },
  { name = "shown", optional = true, help = "what show= asks for" },
  { name = "args" },
  { name = "results" },
  { name = "ended", optional = true, help = "how it ended without a return: a panic, or it goes on" },
  { name = "callers", cut = "left", help = "innermost first", hidden = true },
}

-- shown is what show= asks for, or why it isn't there.
function calls.shown(hit)
  if hit.shown ~= nil then return tostring(hit.shown) end
  return hit.missing and hit.missing.shown
end

function calls.run(p)
  for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9, stack = 8 } do
    ri.emit {
      time = hit.time, goroutine = hit.goroutine, duration = hit.duration, func = hit.func, shown = calls.shown(hit),
      args = hit.args and table.concat(hit.args, ' '), results = hit.results and table.concat(hit.results, ' ') or hit.err and tostring(hit.err), ended = hit.ended, callers = hit.stack,
    }
  end
end

return calls
