-- Sets GOMEMLIMIT.

local units = { [""] = 1, B = 1, KiB = 1024, MiB = 1024 ^ 2, GiB = 1024 ^ 3, TiB = 1024 ^ 4 }
local none = ri.int '9223372036854775807'

-- bytes reads a limit as GOMEMLIMIT is written.
local function bytes(text)
  if text == 'off' then return none end
  local digits, unit = text:match '^(%d+)(%a*)$'
  if not digits or not units[unit] then error('limit=' .. text .. ' is no limit: a number of bytes, or with a unit, such as 512MiB (B, KiB, MiB, GiB, TiB); off is none', 0) end
  if unit == '' or unit == 'B' then return ri.int(digits) end
  return ri.int(tonumber(digits) * units[unit])
end

return {
  title = "another GOMEMLIMIT for a running process",
  category = "go",
  description = [[
Sets the soft memory limit that debug.SetMemoryLimit sets. The pacer reads it whenever it works out a goal, so it holds at once; the scavenger, which gives
memory back to the system, takes it up at the end of the next collection.]],
  params = { { name = "limit", type = "string", required = true, help = "in bytes, or as GOMEMLIMIT has it: 512MiB; off is none" } },
  needs = { vars = { "runtime.gcController" }, fields = { "runtime.gcControllerState.memoryLimit" } },
  columns = { { name = "was", help = "bytes, until now" }, { name = "limit", help = "bytes, from now on" } },
  sample = [[
WAS                  LIMIT
9223372036854775807  1073741824]],
  run = function(p)
    local limit = bytes(p.limit)
    ri.emit { was = ri.var("runtime.gcController").memoryLimit, limit = limit }
    ri.change("GOMEMLIMIT " .. p.limit, function(tx) tx:update("runtime.gcController.memoryLimit", limit) end)
  end,
}
