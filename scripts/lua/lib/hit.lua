-- What several instruments make of a hit.

local hit = {}

-- text gives arguments or results as name=value, in the order of their names.
function hit.text(values)
  local names, parts = {}, {}
  for name in pairs(values or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local v = values[name]
    parts[#parts + 1] = name .. "=" .. tostring(v)
  end
  return table.concat(parts, " ")
end

return hit
