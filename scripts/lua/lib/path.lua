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

-- list splits "name, meta.owner" and gives {{name = "name", steps = {...}}, ...}.
function path.list(text)
  local paths = {}
  for part in text:gmatch("[^,]+") do
    part = part:match("^%s*(.-)%s*$")
    paths[#paths + 1] = { name = part == "." and "value" or part, steps = parse(part) }
  end
  return paths
end

-- get follows a path from a value; nil where something on the way is nil.
function path.get(value, p)
  for _, step in ipairs(p.steps) do
    if value == nil then return nil end
    value = value[step]
  end
  return value
end

-- fill puts what the paths show of an element into a row; what can't be read says why in its place.
function path.fill(row, element, paths)
  for _, p in ipairs(paths) do
    local ok, value = pcall(path.get, element, p)
    if not ok then value = "(" .. tostring(value) .. ")" end
    row[p.name] = value
  end
  return row
end

return path
