-- A node of the b-tree of names, and the path to it.

local fid, btree, words = require("target/fid"), require("target/btree"), require("words")

local function steps(tree, p)
  if p.name then return btree.path(tree, p.name) end
  if not p.id then return { { node = tree.root } } end
  local node = tree.nodes[p.id] or error(("the tree has no node %d"):format(p.id), 0)
  return btree.search(tree, node) or error(("node %d can't be reached from the root"):format(p.id), 0)
end

-- entry emits element index of a node: its key, and what is found there.
local function entry(node, index)
  if node.level == 0 then
    ri.emit { node = node.id, level = 0, index = index, key = node.keys[index], fid = fid.text(node.fids[index]) }
    return
  end
  local key = nil
  if index > 0 then key = node.keys[index - 1] end
  ri.emit { node = node.id, level = node.level, index = index, key = key, child = node.children[index].id }
end

return {
  title = "a node of the b-tree of names, and the path to it",
  category = "target",
  description = [[
Shows a node of the b-tree, by its number or as the leaf where a name is or would be; else the root. Above it, a row for each node on the
path from the root, with the child through which the path goes. The names under a child are from its key on; the first child's begin
where the parent's do.]],
  params = {
    { name = "id", type = "int", min = 0, help = "the node's number" },
    { name = "name", type = "string", help = "or a name: the leaf where it is, or would be" },
  },
  needs = {
    vars = { "main.store" },
    fields = { "main.Tree.root", "main.Tree.nodes", "main.Node.id", "main.Node.level", "main.Node.keys", "main.Node.children", "main.Node.fids", "main.Node.next" },
  },
  columns = {
    { name = "node", type = "int", help = "the node's number", key = true },
    { name = "level", type = "int", help = "0: a leaf" },
    { name = "index", type = "int", help = "of the entry in the node", key = true },
    { name = "key", help = "the name; above the leaves, the first that may be under the child" },
    { name = "child", type = "int", help = "the child's number; none in a leaf" },
    { name = "fid", help = "of the object; only in a leaf" },
  },
  sample = [[
path: 3 (level 1) > 1 (level 0)
NODE  LEVEL  INDEX  KEY           CHILD  FID
   3      1      0  -                 1  -
   1      0      0  images/a.png      -  <7000000000000001:2a>
   1      0      1  images/b.png      -  <7000000000000001:2b>
2 keys, next leaf 2]],
  run = function(p)
    local path, names = steps(ri.var("main.store").tree, p), {}
    for i, step in ipairs(path) do names[i] = ("%d (level %d)"):format(step.node.id, step.node.level) end
    print("path: " .. table.concat(names, " > "))
    for i = 1, #path - 1 do entry(path[i].node, path[i].index) end
    local node = path[#path].node
    for index = 0, (node.level == 0 and #node.keys or #node.children) - 1 do entry(node, index) end
    print(words.count(#node.keys, "key") .. (node.next and (", next leaf %d"):format(node.next.id) or ""))
  end,
}
