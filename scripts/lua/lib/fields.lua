--- Fields of values of which it isn't known what they have.

local fields = {}

--- Gives what fields of fields lead to; nil where one isn't there, or can't be read.
-- @param v any
-- @param ... string, names
-- @return any
function fields.of(v, ...)
  for _, name in ipairs { ... } do
    local ok, inner = pcall(function() return v[name] end)
    if not ok or inner == nil then return nil end
    v = inner
  end
  return v
end

--- Names the type of a value, or of what a pointer leads to; "" where it has none.
-- @param v any
-- @return string
function fields.type(v)
  if type(v) ~= "userdata" then return "" end
  local ok, t = pcall(ri.typeof, v)
  return ok and t:gsub("^%*", "") or ""
end

return fields
