-- The entries of a map, or of a sync.Map.

local path, words = require("path"), require("words")

-- uniform says whether all values have one type.
local function uniform(expr)
  local known, elem = pcall(function() return ri.type(ri.type(ri.ref(expr)).elem) end)
  return known and elem.kind ~= "interface"
end

return {
  title = "entries of a map",
  category = "go",
  description = [[
Walks the map that an expression stands for, in the order of its memory. Shows of each value what print says,
and the number of all entries. With key, only that entry.]],
  params = {
    { name = "expr", type = "expr", required = true, help = "the map: main.store.objects" },
    { name = "key", type = "string", default = "", help = "show only the entry whose key prints so" },
    { name = "print", type = "string", default = ".", help = "what to show of each value: name,meta.owner; . is all of it" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "entries shown; all are counted" },
  },
  columns = { { name = "key", help = "of the entry", key = true } },
  sample = [[
KEY    SIZE
alpha    12
beta      7
2 entries]],
  run = function(p)
    local count, shown = 0, 0
    local paths = path.list(p.print, uniform(p.expr))
    for key, value in ri.pairs(ri.eval(p.expr)) do
      count = count + 1
      if shown < p.limit and (p.key == "" or tostring(key) == p.key) then
        shown = shown + 1
        ri.emit(path.fill({ key = key }, value, paths))
      end
    end
    path.check(paths)
    if p.key ~= "" then
      print(("%d of %s"):format(shown, words.count(count, "entry")))
    else
      print(words.shown(count, "entry", p.limit))
    end
  end,
}
