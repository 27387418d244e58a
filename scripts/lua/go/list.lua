-- A walk along a list: a chain of structs, container/list, a slice, an array, what waits in a channel.

local path, words = require("path"), require("words")

-- links follows a field from element to element, until nil, a node that was seen before, or one that can't be read.
local function links(first, field)
  local seen, node, before, index = {}, first, nil, -1
  return function()
    if node == nil then return nil end
    local address = ri.addr(node)
    if seen[address] then
      ri.finding {
        severity = "critical", what = ("the list has a cycle: element %d leads back to element %d"):format(index, seen[address]),
        where = ("0x%x.%s"):format(before, field),
      }
      return nil
    end
    index = index + 1
    seen[address], before = index, address
    local element, ok = node, nil
    ok, node = pcall(function() return element[field] end)
    if not ok then
      local misspelt, text = path.misspelt(node)
      if misspelt then error(("next=%s: %s"):format(field, text), 0) end
      ri.finding { severity = "critical", what = ("the list is broken at element %d"):format(index), where = ("0x%x"):format(address), evidence = node }
      node = nil
    end
    return index, element
  end
end

local function has(value, field)
  for _, f in ipairs(ri.type(value).fields or {}) do
    if f.name == field then return true end
  end
  return false
end

local function isstruct(value)
  local ok, kind = pcall(function() return ri.type((ri.typeof(value):gsub("^%*+", ""))).kind end)
  return ok and kind == "struct"
end

local function elements(value, field)
  if field ~= "" then return links(value, field) end
  local ok, iterate, state, start = pcall(ri.pairs, value)
  if ok then return iterate, state, start end
  if isstruct(value) then return links(value, "next") end
  error(iterate, 0)
end

return {
  title = "elements of a list, slice, array or channel",
  category = "go",
  description = [[
Walks from an expression: along the field `next` of linked structs, or through a slice, an array, a
container/list or what waits in a channel. Shows of each element what print says, and the number of all.
A list that leads back into itself, or to where no memory is, is a finding.]],
  params = {
    { name = "expr", type = "expr", required = true, help = "the list, or its first element: main.store.quarantine.head" },
    { name = "next", type = "string", default = "", help = "the field that leads to the next element (default: next, where expr is a struct)" },
    { name = "print", type = "string", default = ".", help = "what to show of each: name,meta.owner,items[0]; . is all of it" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "elements shown; all are counted" },
  },
  columns = { { name = "index", type = "int", help = "of the element, from 0", key = true } },
  sample = [[
INDEX  NAME   SIZE
    0  alpha    12
    1  beta      7
2 elements]],
  run = function(p)
    local paths, count = path.list(p.print), 0
    local list = ri.eval(p.expr)
    if list ~= nil then
      for _, element in elements(list, p.next) do
        if count < p.limit then ri.emit(path.fill({ index = count }, element, paths)) end
        count = count + 1
      end
    end
    path.check(paths)
    print(words.shown(count, "element", p.limit))
  end,
}
