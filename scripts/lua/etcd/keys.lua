-- The keys of an etcd server, from the index that it holds in memory. Values are in the database file, not here.

local etcd, words = require("etcd/server"), require("words")

-- each calls f for the indexes of keys that begin with a prefix, in order, until it returns false. A node of a B-tree has one child more than items,
-- or none; child i has what is before item i.
local function each(node, prefix, f, depth)
  if node == nil then return true end
  if depth > 100 then error("the index is deeper than 100 nodes: it is broken", 0) end
  local inner = #node.children > 0
  for i, index in ri.pairs(node.items) do
    local key = ri.bytes(index.key)
    if prefix == '' or key >= prefix then
      if inner and not each(node.children[i], prefix, f, depth + 1) then return false end
      if prefix ~= '' and key:sub(1, #prefix) ~= prefix then return false end
      if not f(key, index) then return false end
    end
  end
  return not inner or each(node.children[#node.children - 1], prefix, f, depth + 1)
end

-- live gives the generation that a key is in; nil of a deleted one, that begins with its deletion an empty generation.
local function live(index)
  local generations = index.generations
  if #generations == 0 then return nil end
  local last = generations[#generations - 1]
  return #last.revs > 0 and last or nil
end

return {
  title = "the keys of an etcd server, with their revisions",
  category = "etcd",
  description = [[
Lists the keys that there are, sorted, from the index in memory, without the server's help. Values are in its database file and not shown. Deleted keys stay in
the index until they are compacted; they are not listed.]],
  params = {
    { name = "prefix", type = "string", default = "", help = "only keys that begin with this" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "keys shown, the first in their order" },
  },
  needs = etcd.needs("kv"),
  columns = {
    { name = "key", key = true },
    { name = "create_revision", type = "int", help = "when it was made" },
    { name = "mod_revision", type = "int", help = "when it was last written" },
    { name = "version", type = "int", help = "how often it was written since it was made" },
    { name = "history", type = "int", help = "revisions of it that aren't compacted" },
  },
  sample = [[
KEY     CREATE REVISION  MOD REVISION  VERSION  HISTORY
jobs/1                2             7        3        3
1 key; the index has 4 keys, with the deleted that aren't compacted]],
  run = function(p)
    local tree = etcd.server().kv.kvindex.tree
    local count, more = 0, false
    each(tree.root, p.prefix, function(key, index)
      local now = live(index)
      if not now then return true end
      if count == p.limit then
        more = true
        return false
      end
      count = count + 1
      local history = 0
      for _, generation in ri.pairs(index.generations) do history = history + #generation.revs end
      ri.emit {
        key = key, create_revision = etcd.main(now.created), mod_revision = etcd.main(now.revs[#now.revs - 1]), version = now.ver, history = history,
      }
      return true
    end, 0)
    print(("%s%s; the index has %s, with the deleted that aren't compacted"):format(words.count(count, "key"), more and " shown, there are more (limit=)" or "", words.count(tree.length, "key")))
  end,
}
