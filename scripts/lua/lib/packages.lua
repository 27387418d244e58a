-- For what is typed at the command line: package names are globals, so that main.store.size works as it reads.
-- A package's short name stands for it; what follows the dot is one of its variables.

local found = {}

local function package(name)
  local literal = name:gsub("[^%w_]", "\\%0")
  if #ri.vars("^(.*/)?" .. literal .. "\\.[^./]*$") == 0 then return nil end
  return setmetatable({}, {
    __index = function(_, variable) return ri.eval(name .. "." .. tostring(variable)) end,
    __newindex = function() error("package variables can't be assigned to: scripts read", 2) end,
    __tostring = function() return "package " .. name end,
  })
end

setmetatable(_G, {
  __index = function(_, name)
    if type(name) ~= "string" then return nil end
    if found[name] == nil then found[name] = package(name) or false end
    return found[name] or nil
  end,
})

return true
