--- Walks through structures that a program links by itself: lists, rings, trees.
--
-- An iterator here never runs for ever: a chain that leads back into itself ends with an error that says where.
-- Beside each stands a `validate_` twin, which raises nothing and says whether the structure is whole.

local walk = {}

--- Iterates over a linked list: `for i, node in walk.linked(head, 'next')`.
-- @param head *T, the first node (nil: an empty list)
-- @param nextfield string, the name of the field that leads to the next node
-- @return iterator of int (from 0), *T
function walk.linked(head, nextfield)
  return ri.linked(head, nextfield)
end

--- Says whether a linked list ends: true and its length, or false and where it doesn't.
-- @param head *T, the first node
-- @param nextfield string
-- @return boolean, int|string
function walk.validate_linked(head, nextfield)
  local n = 0
  local whole, problem = pcall(function()
    for _ in walk.linked(head, nextfield) do n = n + 1 end
  end)
  if whole then return true, n end
  return false, problem
end

--- Iterates over a binary tree in order: `for node, depth in walk.tree(root, 'left', 'right')`.
-- @param root *T, the root (nil: an empty tree)
-- @param left string, the field that leads to what comes before a node
-- @param right string, the field that leads to what comes after it
-- @param maxdepth int?, deeper than this is taken for broken (default 200)
-- @return iterator of *T, int
function walk.tree(root, left, right, maxdepth)
  maxdepth = maxdepth or 200
  local stack, depths, top = {}, {}, 0
  local node, depth = root, 0
  return function()
    while node ~= nil do
      if depth > maxdepth then
        error(string.format("the tree is deeper than %d at %s: it leads back into itself", maxdepth, ri.hex(ri.addr(node))), 2)
      end
      top = top + 1
      stack[top], depths[top] = node, depth
      node, depth = node[left], depth + 1
    end
    if top == 0 then return nil end
    local current, d = stack[top], depths[top]
    stack[top], top = nil, top - 1
    node, depth = current[right], d + 1
    return current, d
  end
end

--- Says whether a tree ends: true and its size, or false and where it doesn't.
-- @return boolean, int|string
function walk.validate_tree(root, left, right, maxdepth)
  local n = 0
  local whole, problem = pcall(function()
    for _ in walk.tree(root, left, right, maxdepth) do n = n + 1 end
  end)
  if whole then return true, n end
  return false, problem
end

--- Counts what an iterator gives, up to a bound: `walk.count(ri.pairs(v))`.
-- @param iterator, state, start: what ri.pairs and the functions here return
-- @return int
function walk.count(iterator, state, start)
  local n = 0
  for _ in iterator, state, start do n = n + 1 end
  return n
end

return walk
