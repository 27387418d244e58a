-- What the executable says of its build.

return {
  title = "Go version, modules and settings of the build",
  category = "go",
  description = "Shows what the executable records of its build: the Go version, the main module, the settings, the modules that it was built from.",
  params = {
    { name = "modules", type = "bool", default = true, help = "list the modules too" },
  },
  columns = {
    { name = "kind", help = "program, setting or module", key = true },
    { name = "name", help = "of the setting, or the module's path", key = true },
    { name = "value", help = "of the setting, or the module's version" },
    { name = "replaced", help = "by which module, if it is" },
  },
  sample = [[
KIND     NAME            VALUE       REPLACED
program  go              go1.26.8    -
program  path            example/hi  -
program  version         v1.2.0      -
setting  CGO_ENABLED     0           -
module   golang.org/x/a  v0.49.0     -]],
  run = function(p)
    local info = ri.buildinfo()
    for _, name in ipairs { "go", "path", "version", "id" } do
      if info[name] ~= "" then ri.emit { kind = "program", name = name, value = info[name] } end
    end
    local names = {}
    for name in pairs(info.settings) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do ri.emit { kind = "setting", name = name, value = (ri.masked(name, info.settings[name])) } end
    if not p.modules then return end
    for _, m in ipairs(info.modules) do
      ri.emit { kind = "module", name = m.path, value = m.version, replaced = m.replaced ~= "" and m.replaced or nil }
    end
  end,
}
