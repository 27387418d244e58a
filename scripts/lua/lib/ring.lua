--- container/ring: a circular list without a beginning.
--
-- Each Ring is an element; `next` leads round. A zero Ring, never used, has nil in `next` and counts as one element.

local ring = {}

--- Iterates over the values once round, from r: `for i, value in ring.each(r)`. ri.pairs does the same.
-- @param r *ring.Ring
-- @return iterator of int (from 0), the dynamic value
function ring.each(r)
  local start = ri.addr(r)
  local e, i = r, -1
  local mark, power, steps = nil, 1, 0
  return function()
    if e == nil then return nil end
    local at = ri.addr(e)
    if i >= 0 and at == start then return nil end
    if i >= 0 and at == mark then
      error(string.format("the ring is broken: after %d elements it is at %s again, not at its start", i + 1, ri.hex(at)), 2)
    end
    if steps == power then
      mark, power, steps = at, power * 2, 0
    end
    steps = steps + 1
    i = i + 1
    local current = e
    e = e.next
    return i, current.Value
  end
end

--- Says whether a ring closes.
-- @param r *ring.Ring
-- @return boolean, int|string: true and its length, or false and where it doesn't
function ring.validate(r)
  local n = 0
  local whole, problem = pcall(function()
    for _ in ring.each(r) do n = n + 1 end
  end)
  if whole then return true, n end
  return false, problem
end

ring.walkers = { ['container/ring.Ring'] = ring.each }

return ring
