-- The package variables of a package.

-- literal makes a text a pattern for ri.vars (a Go regular expression) that means itself.
local function literal(text) return (text:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?{}|\\]", "\\%0")) end

return {
  title = "package variables of a package",
  category = "go",
  description = [[
Lists the package variables of a package with their types and values, a line each. The package is named by its path, or by the
last part of it: main, net/http, http.]],
  needs = { vars = { "runtime.buildVersion" } },
  params = {
    { name = "package", type = "string", default = "main", help = "path, or its last part" },
    { name = "name", type = "string", default = "", help = "only variables whose name contains this" },
    { name = "depth", type = "int", default = 2, min = 1, max = 10, help = "levels of pointers and structs shown" },
  },
  columns = {
    { name = "name", help = "full name", key = true },
    { name = "type", help = "Go type" },
    { name = "value", help = "in Go syntax" },
  },
  sample = [[
NAME          TYPE         VALUE
main.limits   main.Limits  {max: 100, burst: 20}
main.started  bool         true]],
  run = function(p)
    local count = 0
    for _, name in ipairs(ri.vars("^(.*/)?" .. literal(p.package) .. "\\.[^./]*$")) do
      if p.name == "" or name:match("[^.]*$"):find(p.name, 1, true) then
        count = count + 1
        local ok, place = pcall(ri.ref, name)
        local row = { name = name, type = ok and ri.typeof(place) or nil }
        local read, text = pcall(function() return ri.dump(ri.value(place), { oneline = true, depth = p.depth, elems = 8, bytes = 128 }) end)
        row.value = read and text or "(" .. tostring(ok and text or place) .. ")"
        ri.emit(row)
      end
    end
    if count == 0 then ri.log(("no variables in a package %s%s"):format(p.package, p.name ~= "" and " whose name contains " .. p.name or "")) end
  end,
}
