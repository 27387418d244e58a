-- The b-tree of object names (main.Tree): all fids are in the leaves. The subtree under children[i] holds the
-- names from keys[i-1] up to, but without, keys[i].

local btree = {}

-- after counts the keys of a node that are not greater than name: keys are sorted.
local function after(node, name)
  local keys = node.keys
  local low, high = 0, #keys
  while low < high do
    local middle = math.floor((low + high) / 2)
    if keys[middle] <= name then low = middle + 1 else high = middle end
  end
  return low
end

-- path lists {node = , index = } from the root down to the leaf where name is, or would be; index is that
-- of the child through which the path goes on.
function btree.path(tree, name)
  local steps, node = {}, tree.root
  while true do
    steps[#steps + 1] = { node = node }
    if #steps > 64 then error("the tree has more than 64 levels: it is broken", 0) end
    if node.level == 0 then return steps end
    local index = after(node, name)
    steps[#steps].index = index
    node = node.children[index]
  end
end

-- lookup finds the fid of a name, or nil.
function btree.lookup(tree, name)
  local steps = btree.path(tree, name)
  local leaf = steps[#steps].node
  local index = after(leaf, name) - 1
  if index >= 0 and leaf.keys[index] == name then return leaf.fids[index] end
end

-- search finds the path to a node, wherever it is.
function btree.search(tree, wanted)
  local function down(node, steps)
    steps[#steps + 1] = { node = node }
    if #steps > 64 then error("the tree has more than 64 levels: it is broken", 0) end
    if node == wanted then return steps end
    if node.level > wanted.level then
      for index, child in ri.pairs(node.children) do
        steps[#steps].index = index
        local found = down(child, steps)
        if found then return found end
      end
    end
    steps[#steps] = nil
  end
  return down(tree.root, {})
end

return btree
