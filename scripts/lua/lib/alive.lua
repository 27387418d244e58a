--- Values of a type, wherever they are: what variables and frames lead to, or all that are alive.

local alive = {}

--- Lists values of types: {value, where, goroutine (0 of a variable, nil of the heap)}. Those that variables and goroutines' frames lead to come first.
-- @param types string[], such as 'database/sql.DB'
-- @param o table: max (of all together), depth (see ri.find; default -1), heap: 'no', 'yes' (look at all that is alive, too: needs a copy of all memory), 'else'
--   (only if nothing is found otherwise)
-- @return table, string?: the list, and why the heap wasn't looked at though it should have been
function alive.find(types, o)
  local out, seen, left = {}, {}, o.max
  local function add(value, where, goroutine)
    out[#out + 1] = { value = value, where = where, goroutine = goroutine }
    seen[ri.addr(value)] = true
  end
  for _, gotype in ipairs(types) do
    if left and #out >= left then return out end
    local found, list = pcall(ri.find, gotype, { max = left and left - #out, depth = o.depth or -1 })
    for _, f in ipairs(found and list or {}) do
      if f.value ~= nil then add(f.value, f.where, f.goroutine) end
    end
  end
  if o.heap == 'no' or o.heap == 'else' and #out > 0 then return out end
  if ri.target().view == 'live' then return out, 'that needs a copy of all memory: --view snapshot' end
  local heap, why = ri.heap { optional = true }
  if not heap then return out, why end
  for _, gotype in ipairs(types) do
    local known, list = pcall(heap.instances, heap, gotype, left) -- an error where there is none
    for _, address in ipairs(known and list or {}) do
      if left and #out >= left then return out end
      if not seen[address] then
        local path = heap:path(address)
        add(ri.at(address, gotype), path and path.text or 'the heap')
      end
    end
  end
  return out
end

return alive
