--- container/list: a doubly linked list.
--
-- A List holds a sentinel `root`: `root.next` is the first element, `root.prev` the last, and the ring closes at the
-- sentinel. `len` counts the elements without it. A zero List, never used, has nil in both.

local list = {}

--- Iterates over the values: `for i, value in list.each(l)`. ri.pairs does the same.
-- @param l list.List or *list.List
-- @return iterator of int (from 0), the dynamic value
function list.each(l)
  local element = list.elements(l)
  return function()
    local i, e = element()
    if e == nil then return nil end
    return i, e.Value
  end
end

--- Iterates over the elements.
-- @param l list.List or *list.List
-- @return iterator of int (from 0), *list.Element
function list.elements(l)
  local root = ri.addr(l, 'root')
  local e, i = l.root.next, -1
  local mark, power, steps = nil, 1, 0
  return function()
    if e == nil then
      if i >= 0 then error(string.format("the list is broken: element %d leads to nil", i), 2) end
      return nil
    end
    local at = ri.addr(e)
    if at == root then return nil end
    if at == mark then
      error(string.format("the list is broken: after %d elements it is at %s again", i + 1, ri.hex(at)), 2)
    end
    if steps == power then
      mark, power, steps = at, power * 2, 0
    elseif mark == nil then
      mark = at
    end
    steps = steps + 1
    i = i + 1
    local current = e
    e = e.next
    return i, current
  end
end

--- Says whether a list is whole: forward and backward links agree, and `len` is right.
-- @param l list.List or *list.List
-- @return boolean, int|string: true and the length, or false and where it broke
function list.validate(l)
  local n = 0
  local root = ri.addr(l, 'root')
  local whole, problem = pcall(function()
    local before = root
    for i, e in list.elements(l) do
      n = i + 1
      local prev = e.prev
      if prev == nil or ri.addr(prev) ~= before then
        error(string.format("element %d at %s: prev doesn't lead back", i, ri.hex(ri.addr(e))), 0)
      end
      before = ri.addr(e)
    end
    if l.len ~= n then error(string.format("len is %s, but there are %d elements", tostring(l.len), n), 0) end
  end)
  if whole then return true, n end
  return false, problem
end

list.walkers = { ['container/list.List'] = list.each }

return list
