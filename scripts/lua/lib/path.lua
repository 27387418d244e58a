-- Paths from an element to what is shown of it: "name", "meta.owner", "items[3].key", "attrs[color]".
-- "." is the element itself. Used by instruments that take what to print as a parameter.

local path = {}

-- parse turns "a.b[3]" into its steps {"a", "b", 3}.
local function parse(text)
  local steps, rest = {}, text
  if rest == "." then return steps end
  while rest ~= "" do
    local name, after = rest:match("^%.?([%a_\128-\255][%w_\128-\255]*)(.*)$")
    if name then
      steps[#steps + 1] = name
    else
      name, after = rest:match("^%[([^%]]+)%](.*)$")
      if not name then
        error(("%q is no path: write field.field, field[3], field[key], or . for the element itself"):format(text), 0)
      end
      steps[#steps + 1] = tonumber(name) or name:match('^"(.*)"$') or name
    end
    rest = after
  end
  return steps
end

-- list splits "name, meta.owner" and gives {{name = "name", steps = {...}}, ...}. With strict, a field that the
-- first element doesn't have is an error at once: all elements have its type.
function path.list(text, strict)
  local paths = { strict = strict }
  for part in text:gmatch("[^,]+") do
    part = part:match("^%s*(.-)%s*$")
    paths[#paths + 1] = { name = part == "." and "value" or part, steps = parse(part) }
  end
  return paths
end

-- get follows a path from a value; nil where something on the way is nil, and whether all of it was gone.
function path.get(value, p)
  for _, step in ipairs(p.steps) do
    if value == nil then return nil, false end
    local kind = type(value)
    if kind ~= "userdata" and kind ~= "table" then error(("no field %q in a %s"):format(tostring(step), kind), 0) end
    value = value[step]
  end
  return value, true
end

-- misspelt says whether an error is a wrong name, not broken memory, and gives it without the place in Lua.
function path.misspelt(problem)
  local text = tostring(problem):gsub("^[^:]*%.lua:%d+: ", "")
  return text:find("no field \"", 1, true) ~= nil or text:find("has no fields", 1, true) ~= nil or text:find("is indexed by an integer", 1, true) ~= nil, text
end

local function complain(p)
  error(("print=%s: %s"):format(p.name, p.problem), 0)
end

-- fill puts what the paths show of an element into a row; what can't be read says why in its place. A name that is wrong
-- for an element leaves its cell empty; path.check says if it was wrong for all.
function path.fill(row, element, paths)
  for _, p in ipairs(paths) do
    local ok, value, whole = pcall(path.get, element, p)
    if ok then
      p.met = p.met or whole
    else
      local misspelt, text = path.misspelt(value)
      value = not misspelt and "(" .. text .. ")" or nil
      if misspelt and not p.met then
        p.problem = p.problem or text
        if paths.strict then complain(p) end
      end
    end
    row[p.name] = value
  end
  return row
end

-- check fails where a path was wrong for every element.
function path.check(paths)
  for _, p in ipairs(paths) do
    if p.problem and not p.met then complain(p) end
  end
end

return path
