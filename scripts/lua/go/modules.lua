-- The modules that the program was built from.

return {
  title = "modules that the program was built from",
  category = "go",
  description = "Lists the main module and all modules that the executable says it was built from, with their versions, and by what they were replaced.",
  params = {
    { name = "path", type = "string", default = "", help = "only modules with this in their path: a part of it, or a regular expression" },
  },
  columns = {
    { name = "path", help = "the module", cut = "left", key = true },
    { name = "version", help = "its version" },
    { name = "replaced", help = "by which module, if it is", optional = true },
    { name = "main", type = "bool", help = "the program's own", hidden = true },
  },
  sample = [[
PATH                VERSION  REPLACED
example.com/server  v1.2.0   -
golang.org/x/net    v0.49.0  ../net]],
  run = function(p)
    local info = ri.buildinfo()
    local function module(path, version, replaced, main)
      if not ri.match(path, p.path) then return end
      ri.emit { path = path, version = version, replaced = replaced ~= '' and replaced or nil, main = main }
    end
    module(info.path, info.version, '', true)
    for _, m in ipairs(info.modules) do
      if m.path ~= info.path then module(m.path, m.version, m.replaced, false) end
    end
  end,
}
