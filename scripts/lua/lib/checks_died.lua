--- The check of `ri check` for how the program died: the first thing to know of a core, or of a process in its last moment.

local death = require("death")
local panics = require("panic")
local waits = require("waits")

local function died()
  local d = death.find(1024)
  if not d then return {} end
  local evidence = {}
  for i = #d.chain, 1, -1 do
    local one = d.chain[i]
    evidence[#evidence + 1] = "panic: " .. panics.cut(one.text or one.value) .. (one.recovered and " [recovered]" or "")
  end
  local fault, frame = d.fault or d.signal, d.at and d.frames[d.at] or d.part and d.part.frames[1]
  if fault then evidence[#evidence + 1] = panics.fault(fault) end
  if not frame then -- the innermost that is the program's own
    for _, f in ipairs(d.frames) do
      if not f.func:find("^runtime[%./]") then
        frame = f
        break
      end
    end
  end
  return { {
    severity = "critical", what = "it died: " .. death.what(d), where = frame and ("%s (%s)"):format(frame.func, waits.short(frame)) or "",
    evidence = evidence, goroutines = d.goroutine and { d.goroutine.id } or nil, next = "ri run crash shows the stack, with arguments and variables",
  } }
end

return { { name = "died", fits = function(l) return l.core end, run = died } }
