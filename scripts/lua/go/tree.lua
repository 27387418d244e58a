-- A walk down a tree: from a node through the fields that hold its children.

local path, words = require("path"), require("words")

local function split(text)
  local fields = {}
  for field in text:gmatch("[^,%s]+") do fields[#fields + 1] = field end
  return fields
end

-- children lists what a field holds: one node, or the nodes of a slice, array or map.
local function children(node, field)
  local held, list = node[field], {}
  if held == nil then return list end
  local ok, iterate, state, start = pcall(ri.pairs, held)
  if not ok then return { held } end
  for _, child in iterate, state, start do
    if child ~= nil then list[#list + 1] = child end
  end
  return list
end

return {
  title = "nodes of a tree",
  category = "go",
  description = [[
Walks down from an expression through the fields that children names: each holds a node, or a slice, array or map of nodes.
Shows of each node its depth and what print says, parents before children, and the number of all nodes.
A node that is reached twice, or can't be read, is a finding.]],
  params = {
    { name = "expr", type = "expr", required = true, help = "the root: main.store.tree.root" },
    { name = "children", type = "string", default = "left,right", help = "fields that lead to children: left,right or children" },
    { name = "print", type = "string", default = ".", help = "what to show of each node: key,size; . is all of it" },
    { name = "depth", type = "int", default = 100, min = 0, max = 10000, help = "levels below the root to go down" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "nodes shown; all are counted" },
  },
  columns = {
    { name = "depth", type = "int", help = "of the node; the root's is 0" },
    { name = "node_addr", type = "address", help = "of the node", hidden = true, key = true },
  },
  sample = [[
DEPTH  KEY
    0  m
    1  c
    1  t
2 levels, 3 nodes]],
  run = function(p)
    local paths, fields = path.list(p.print, true), split(p.children)
    local met = {} -- fields that some node has: one without is a leaf of another type
    local seen, count, deepest = {}, 0, -1
    local stack = { { ri.eval(p.expr), 0 } }
    while #stack > 0 do
      local node, depth = unpack(table.remove(stack))
      local address = ri.addr(node)
      if seen[address] then
        ri.finding {
          severity = "critical", what = "a node of the tree is reached twice", where = ("0x%x, at depth %d and %d"):format(address, seen[address], depth),
        }
      elseif node ~= nil then
        seen[address] = depth
        if count < p.limit then ri.emit(path.fill({ depth = depth, node_addr = address }, node, paths)) end
        count, deepest = count + 1, math.max(deepest, depth)
        if depth < p.depth then
          for f = #fields, 1, -1 do
            local ok, list = pcall(children, node, fields[f])
            local misspelt, text = false, nil
            if ok then met[fields[f]] = true else misspelt, text = path.misspelt(list) end
            if misspelt then
              if not met[fields[f]] then error(("children=%s: %s"):format(fields[f], text), 0) end
              list = {}
            elseif not ok then
              ri.finding { severity = "critical", what = "the tree is broken", where = ("0x%x.%s"):format(address, fields[f]), evidence = list }
              list = {}
            end
            for i = #list, 1, -1 do stack[#stack + 1] = { list[i], depth + 1 } end
          end
        end
      end
    end
    print(words.count(deepest + 1, "level") .. ", " .. words.shown(count, "node", p.limit))
  end,
}
