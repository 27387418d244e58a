--- Whose channels are, as the heap tells: by which names they are known, and whether they are the standard library's own.

local words = require("words")

local whose = {}

-- Packages whose types only keep what others put there, and what the runtime notes.
local containers = { sync = true, reflect = true, runtime = true, unique = true, weak = true, iter = true, slices = true, maps = true }

-- standard tells whether a type, variable or function is of the standard library, and no container.
local function standard(name)
  local path = name:gsub("^[%*%[%]]*", "")
  path = path:match("^(.*/[^./]*)%.") or path:match("^([^.]*)%.")
  if not path or not words.standard(path) then return false end
  return not (containers[path] or path:find("^container/") or path:find("^sync/") or path:find("^internal/"))
end

--- Whether a channel is one that the standard library made for itself: a context's, say.
-- @param heap heap
-- @param addr int, of the channel
-- @return boolean
function whose.library(heap, addr)
  for _, ref in ipairs(heap:refs(addr)) do
    if ref.types[1] then
      for _, name in ipairs(ref.types) do
        if standard(name) then return true end
      end
    elseif (ref.closure or ref.variable) and standard(ref.holder) then
      return true
    end
  end
  return false
end

--- Names a channel by the variable or field that holds it: "server.Hub.broadcast"; "" if there is none.
-- @param heap heap
-- @param addr int, of the channel
-- @return string
function whose.name(heap, addr)
  local captured, first = "", nil
  for _, ref in ipairs(heap:refs(addr)) do
    if ref.variable then return ref.name end
    if ref.closure then
      if captured == "" and ref.field ~= "" then captured = ref.field:gsub("^%.", "") .. " in " .. ref.name:sub(1, -#ref.field - 1) end
    elseif ref.field ~= "" and not ref.holder:find("^runtime%.") and not ref.holder:find("^[%(%[]") then
      local strange = words.standard(ref.holder:match("^(.*/[^./]*)%.") or ref.holder:match("^([^.]*)%.") or "main")
      if not first or first.strange and not strange then first = { name = ref.name, strange = strange } end
    end
  end
  return first and first.name or captured
end

--- Gives a channel its name, if it has none and the heap knows one.
-- @param heap heap
-- @param c table, a channel of ri.waits
function whose.known(heap, c)
  if c.name == "" then c.name = whose.name(heap, c.addr) end
end

return whose
