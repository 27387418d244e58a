--- The checks of `ri check` for goroutines that can never go on.

local locks = require("checks_locks")

-- Wait reasons behind which nothing comes (runtime.waitReasonStrings).
local final = {
  ["chan receive (nil chan)"] = "receives from a nil channel",
  ["chan send (nil chan)"] = "sends to a nil channel",
  ["select (no cases)"] = "is in a select without cases",
}

local function nothing_comes(l)
  local out = {}
  for _, g in ipairs(l.groups) do
    local what = final[g.wait_reason]
    local main = g.ids[1] == 1 and g.count == 1
    if what and not (main and g.wait_reason == "select (no cases)") then -- which is how main waits for ever, and means to
      out[#out + 1] = {
        severity = "warning",
        what = ("blocked for ever: %s %s"):format(g.count == 1 and "a goroutine" or locks.count(g.count, "goroutine") .. ", each", what),
        where = locks.where(l, g.ids[1]), goroutines = g.ids,
        evidence = { ("the runtime says: %s; nothing can wake it"):format(g.wait_reason), locks.created(l, g.ids[1]),
          g.count > 1 and "goroutines " .. locks.list(g.ids) or nil },
        next = "which variable should have held a channel there, and who should have made it?",
      }
    end
  end
  return out
end

return { { name = "nil-channel", run = nothing_comes } }
