--- container/heap: a slice kept in heap order by its own Less method.
--
-- Less can't be called, so the caller gives the order.

local heap = {}

--- Finds where heap order is broken.
-- @param h []T, the slice
-- @param less function(a, b): whether a comes before b
-- @return boolean, int|string: true and the length, or false and where it is broken
function heap.validate(h, less)
  local n = #h
  for i = 1, n - 1 do
    local parent = math.floor((i - 1) / 2)
    if less(h[i], h[parent]) then
      return false, string.format('element %d comes before its parent %d', i, parent)
    end
  end
  return true, n
end

return heap
